# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A registry in the tables of schema.py, by SQLAlchemy Core. The databases differ in what sqlite.py and postgresql.py add.

Transactions are begun and ended here, by statements of their own: the drivers commit nothing unprompted. Parameters, which may be
keys, are in no error and in no log.
"""

import contextlib
import json
import logging

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dice.group.manager import GroupState, MemberRecord
from dicectl.errors import USAGE, CommandError
from dicectl.manager.registry import schema, sealing
from dicectl.manager.registry.base import Registry, RegistryError, StoredGroup, StoredSession
from dicectl.manager.registry.public_keys import PublicKey
from dicectl.manager.registry.schema import (
    AUDIT,
    DEVICE,
    GROUP,
    MEMBER,
    OWN_KEY,
    PRUNING,
    PUBLIC_KEY,
    SECRETS,
    SESSION,
    SETTING,
    VERSION,
)
from dicectl.manager.registry.statements import (
    CHANGE_MEMBER,
    CHANGE_SESSION,
    END_SESSION,
    MEMBER_COLUMNS,
    REMOVE_MEMBER,
    SESSION_COLUMNS,
    audit_row,
    changed_member,
    entries_after,
    sealing_setting,
)
from dicectl.manager.registry.storage import entry

_FIXED = ("name", "gid", "address", "port", "layout", "lifetime_s", "suite")
_VARIED = ("epoch", "active", "grace_s", "tgk", "cs_id", "rand")
_LOG = "registry"
_OURS = {"device", "audit"}  # tables that every registry has
_OTHERS = {"leader"}  # those that may be there before


def engine_options():
    """Return the options of create_engine() for every database: no key is in an error or in a log, whatever logs are turned on.

    SQLAlchemy hides parameters, but logs the rows that it reads at level DEBUG.
    """
    logging.getLogger(f"sqlalchemy.engine.Engine.{_LOG}").setLevel(logging.WARNING)
    return {"poolclass": sa.pool.NullPool, "hide_parameters": True, "echo": False, "logging_name": _LOG}


class RelationalRegistry(Registry):
    """A registry in a database. An implementation provides connected(), and calls prepare() and opened() in its __init__."""

    def __init__(self, now, title):
        """`title`: the registry's name in errors."""
        super().__init__(now)
        self.title = title
        self.deleted = False  # whether a key was deleted or replaced, whose bytes may still be somewhere
        self._seal = sealing.Clear()
        self._connection = None
        self._in_transaction = False
        self._spoiled = False  # whether a statement of this transaction failed: PostgreSQL would answer COMMIT with ROLLBACK
        self._with_session = None  # identities of SESSION, or None: to be read
        self._added = 0  # the place of the newest member of any group

    # Connection and transactions.

    def connected(self):
        """Return the connection; raises RegistryError."""
        return self._connection

    def failed(self, error):
        """Note an error of the database, a SQLAlchemyError; return the text of a RegistryError, without parameters."""
        return str(error.orig if isinstance(error, DBAPIError) else error).partition("\n")[0]

    def began(self):
        """Extend a transaction that has just begun; raises RegistryError."""
        return

    @contextlib.contextmanager
    def errors(self):
        """Turn errors of the database into RegistryError."""
        try:
            yield
        except SQLAlchemyError as error:
            self._spoiled = True
            raise RegistryError(self.failed(error)) from None
        except sealing.SealError as error:
            raise RegistryError(str(error)) from None

    def read_settings(self):
        rows = self.execute(sa.select(SETTING.c.name, SETTING.c.value).where(SETTING.c.name != sealing.SETTING))
        return {name: json.loads(value) for name, value in rows}

    def write_setting(self, name, value):
        self.execute(SETTING.delete().where(SETTING.c.name == name))
        self.execute(SETTING.insert().values(name=name, value=json.dumps(value)))

    def execute(self, statement, rows=None):
        """Execute a statement, in the current transaction if there is one; return a list of the rows it returns."""
        connection = self.connected()
        with self.errors():
            done = connection.execute(statement, rows) if rows is not None else connection.execute(statement)
            return done.all() if done.returns_rows else []

    def run(self, text):
        """Execute a statement of SQL as it is written; return a list of the rows that it returns."""
        connection = self.connected()
        with self.errors():
            done = connection.exec_driver_sql(text)
            return done.all() if done.returns_rows else []

    def begin(self):
        self.run(self.BEGIN)
        self._in_transaction, self._spoiled = True, False
        try:
            self.began()
        except BaseException:
            self.end(False)
            raise

    BEGIN = "BEGIN"

    def end(self, durable):
        if durable:
            if self._spoiled:
                raise RegistryError("a part of this change failed")
            self.run("COMMIT")
            self._in_transaction = False
        elif self._in_transaction:
            self._in_transaction = False
            self._with_session = None
            with contextlib.suppress(RegistryError):
                self.run("ROLLBACK")

    # Opening.

    def prepare(self, key):
        """Create the tables, or migrate them, and check the key, in one transaction; raises CommandError, and changes nothing."""
        self.run(self.BEGIN)
        self._in_transaction, self._spoiled = True, False
        try:
            with self.errors():
                self._prepare(key)
            self.end(True)
        except BaseException:
            self.end(False)
            raise

    def _prepare(self, key):
        names = set(sa.inspect(self._connection).get_table_names()) - _OTHERS
        if not names:
            self._create(key)
            return
        old = self.old_revision(names)
        if old is None and not (names > _OURS and VERSION.name in names):
            raise CommandError(f"{self.title} is no registry: choose another one", USAGE)
        revision = old or self.execute(sa.select(VERSION.c.version_num))[0][0]
        if revision != schema.REVISION:
            from dicectl.manager.registry import migrations

            if not migrations.known(revision):
                raise CommandError(f"{self.title} was written by a newer dicectl (revision {revision}): update this one", USAGE)
            if key and int(revision) < 3:  # the first that can be encrypted
                raise sealing.not_encrypted(self.title)
            migrations.upgrade(self._connection, old)
        self._unlock(key)

    def old_revision(self, names):
        """Return the revision of a database from before Alembic with tables of these names, or None."""
        return

    def _create(self, key):
        schema.create(self._connection)
        if key:
            self._seal = sealing.Sealed(key)
            self.execute(SETTING.insert().values(name=sealing.SETTING, value=self._seal.setting()))

    def _unlock(self, key):
        self._seal = sealing.check_setting(self.title, key, self.execute(sealing_setting()))

    def opened(self):
        self._with_session = None
        self._added = self.execute(sa.select(sa.func.coalesce(sa.func.max(MEMBER.c.added), 0)))[0][0]
        super().opened()

    def reseal(self, key):
        """Store all keys under another key, 32 bytes, or in clear if that is None; in one transaction."""
        new = sealing.Sealed(key) if key else sealing.Clear()
        with self.transaction():
            for table, columns in SECRETS.items():
                (row,) = table.primary_key.columns
                for name, *values in self.execute(sa.select(row, *(table.c[column] for column in columns))):
                    opened = zip(columns, (self._opened(table, column, name, value) for column, value in zip(columns, values)))
                    stored = {column: new.seal(table.name, column, _bytes(name), value) for column, value in opened}
                    self.execute(table.update().where(row == name), stored)
            self.execute(SETTING.delete().where(SETTING.c.name == sealing.SETTING))
            if key:
                self.execute(SETTING.insert().values(name=sealing.SETTING, value=new.setting()))
            self.log("encrypted" if key else "decrypted")
            self.deleted = True
        self._seal = new

    def _opened(self, table, column, row, stored):
        with self.errors():
            return self._seal.open(table.name, column, _bytes(row), stored)

    def _sealed(self, table, row, values):
        """Return {column: value} as it is stored."""
        secret = SECRETS[table]
        return {
            name: self._seal.seal(table.name, name, _bytes(row), value) if name in secret else value
            for name, value in values.items()
        }

    # Devices.

    def read_devices(self):
        rows = self.execute(sa.select(DEVICE.c.identity, DEVICE.c.name, DEVICE.c.key))
        return [(identity, name, self._opened(DEVICE, "key", identity, key)) for identity, name, key in rows]

    def read_key_changes(self):
        columns = (DEVICE.c.identity, DEVICE.c.key_number, DEVICE.c.next_key)
        rows = self.execute(sa.select(*columns).where(sa.or_(DEVICE.c.key_number > 0, DEVICE.c.next_key.is_not(None))))
        return [(identity, number, self._opened(DEVICE, "next_key", identity, key)) for identity, number, key in rows]

    def store_key_change(self, identity, key_number, next_key, key=None):
        values = {"key_number": key_number, "next_key": next_key}
        if key is not None:
            values["key"] = key
            self.deleted = True
        self.execute(DEVICE.update().where(DEVICE.c.identity == identity).values(**self._sealed(DEVICE, identity, values)))

    def read_public_keys(self):
        return {identity: PublicKey(*values) for identity, *values in self.execute(sa.select(PUBLIC_KEY))}

    def store_public_key(self, identity, key):
        self.execute(PUBLIC_KEY.delete().where(PUBLIC_KEY.c.identity == identity))
        self.execute(PUBLIC_KEY.insert(), {"identity": identity, **vars(key)})

    def read_own_keys(self):
        return {name: self._opened(OWN_KEY, "private", name, key) for name, key in self.execute(sa.select(OWN_KEY))}

    def write_own_key(self, name, private):
        self.execute(OWN_KEY.delete().where(OWN_KEY.c.name == name))
        self.execute(OWN_KEY.insert(), self._sealed(OWN_KEY, name, {"name": name, "private": private}))

    def read_told(self):
        return dict(map(tuple, self.execute(sa.select(DEVICE.c.identity, DEVICE.c.told).where(DEVICE.c.told > 0))))

    def store_told(self, told):
        for identity, number in told.items():
            self.execute(DEVICE.update().where(DEVICE.c.identity == identity).values(told=number))

    def made(self, identity):
        return next((at for (at,) in self.execute(sa.select(DEVICE.c.made).where(DEVICE.c.identity == identity))), None)

    def store_device(self, identity, name, key):
        values = {"identity": identity, "name": name, "key": key, "made": self.now(), "key_number": 0, "next_key": None, "told": 0}
        self.execute(DEVICE.insert(), self._sealed(DEVICE, identity, values))

    def store_name(self, identity, name):
        self.execute(DEVICE.update().where(DEVICE.c.identity == identity).values(name=name))

    def delete_device(self, identity):
        self.store_session_rows({identity: None})
        self.execute(PUBLIC_KEY.delete().where(PUBLIC_KEY.c.identity == identity))
        self.execute(DEVICE.delete().where(DEVICE.c.identity == identity))
        self.deleted = True

    # Groups.

    def read_states(self):
        members = {}
        columns = (MEMBER.c[name] for name in ("group_name", "identity", *MEMBER_COLUMNS))
        for group, identity, *record in self.execute(sa.select(*columns).order_by(MEMBER.c.added)):
            members.setdefault(group, {})[identity] = MemberRecord(*record)
        found = []
        for row in self.execute(sa.select(GROUP).order_by(GROUP.c.name)):
            state = GroupState(*(getattr(row, name) for name in _FIXED))
            for name in _VARIED:
                value = getattr(row, name)
                setattr(state, name, self._opened(GROUP, name, row.name, value) if name in SECRETS[GROUP] else value)
            state.members = members.get(row.name, {})
            found.append(StoredGroup(state, row.rekey_s, row.since))
        return found

    def store_group(self, state, rekey_s, since):
        values = {name: getattr(state, name) for name in (*_FIXED, *_VARIED)}
        self.execute(GROUP.insert(), self._sealed(GROUP, state.name, {**values, "rekey_s": rekey_s, "since": since}))

    def store_group_fields(self, name, **fields):
        self.execute(GROUP.update().where(GROUP.c.name == name).values(**fields))

    def remove_group(self, name):
        self.execute(MEMBER.delete().where(MEMBER.c.group_name == name))
        self.execute(GROUP.delete().where(GROUP.c.name == name))
        self.deleted = True

    def store_changes(self, state, change):
        if change.fields:
            values = self._sealed(GROUP, state.name, change.fields)
            self.execute(GROUP.update().where(GROUP.c.name == state.name), values)
            self.deleted = self.deleted or any(name in change.fields for name in SECRETS[GROUP])
        removed, added, changed = [], [], []
        for identity, member in change.members.items():
            if member is None:
                removed.append({"g": state.name, "i": identity})
            elif identity in state.members:
                changed.append(changed_member(state.name, identity, member))
            else:
                self._added += 1
                values = {name: getattr(member, name) for name in MEMBER_COLUMNS}
                added.append({"group_name": state.name, "identity": identity, "added": self._added, **values})
        for statement, rows in ((REMOVE_MEMBER, removed), (CHANGE_MEMBER, changed), (MEMBER.insert(), added)):
            if rows:
                self.execute(statement, rows)

    def store_held(self, rows):
        if rows:
            self.execute(CHANGE_MEMBER, [changed_member(*row) for row in rows])

    # Sessions.

    def sessions(self):
        self.flush()
        found = {}
        for identity, *values in self.execute(sa.select(SESSION.c.identity, *(SESSION.c[name] for name in SESSION_COLUMNS))):
            values = dict(zip(SESSION_COLUMNS, values))
            values["address"] = json.loads(values["address"])
            values["token"] = self._opened(SESSION, "token", identity, values["token"])
            found[identity] = StoredSession(**values)
        return found

    def store_session_rows(self, rows):
        if not rows:
            return
        if self._with_session is None:
            self._with_session = {identity for (identity,) in self.execute(sa.select(SESSION.c.identity))}
        removed, added, changed = [], [], []
        for identity, session in rows.items():
            if session is None:
                removed.append({"i": identity})
                continue
            values = {name: getattr(session, name) for name in SESSION_COLUMNS}
            values = self._sealed(SESSION, identity, {**values, "address": json.dumps(session.address)})
            if identity in self._with_session:
                changed.append({"i": identity, **{f"_{name}": value for name, value in values.items()}})
            else:
                added.append({"identity": identity, **values})
        for statement, wanted in ((END_SESSION, removed), (CHANGE_SESSION, changed), (SESSION.insert(), added)):
            if wanted:
                self.execute(statement, wanted)
        self._with_session.difference_update(row["i"] for row in removed)
        self._with_session.update(row["identity"] for row in added)

    # The audit log.

    def append(self, entries):
        if entries:
            self.execute(AUDIT.insert(), [audit_row(entry) for entry in entries])

    def read_audit(self, after, limit):
        return [entry(*row) for row in self.execute(entries_after(after, limit))]

    def last_number(self):
        return self.execute(sa.select(sa.func.coalesce(sa.func.max(AUDIT.c.number), 0)))[0][0]

    def delete_entries(self, before, event, limit):
        wanted = AUDIT.c.at < before
        if event:
            wanted &= AUDIT.c.event == event
        oldest = sa.select(AUDIT.c.number).where(wanted).order_by(AUDIT.c.number).limit(limit).subquery()
        ((count, last),) = self.execute(sa.select(sa.func.count(), sa.func.max(oldest.c.number)))
        if count:
            self.execute(PRUNING.insert().values(before=before))
            self.execute(AUDIT.delete().where(wanted & (AUDIT.c.number <= last)))
            self.execute(PRUNING.delete())
        return count


def _bytes(row):
    return row.encode() if isinstance(row, str) else bytes(row)
