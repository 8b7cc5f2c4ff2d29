# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The tables of a registry, for SQLAlchemy Core: those of the newest revision. migrations/ makes them of older ones.

The table `leader` of PostgreSQL is not among them: a manager that waits needs it before there are others (election/leader.py).
The columns in SECRETS contain keys: sealed, if the registry is encrypted (sealing).
"""

import sqlalchemy as sa

REVISION = "5"  # the newest of migrations/versions
USER_VERSION = 3  # of SQLite's files with Alembic: it is 1 or 2 in those without, whose programs refuse newer files by it

_TIME = sa.Double().with_variant(sa.REAL(), "sqlite")  # seconds since 1970
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite's integers all have 64 bits

METADATA = sa.MetaData()
DEVICE = sa.Table(
    "device",
    METADATA,
    sa.Column("identity", sa.LargeBinary, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sa.Column("made", _TIME, nullable=False),
    sa.Column("key_number", sa.Integer, nullable=False),  # how often the key was changed over a session
    sa.Column("next_key", sa.LargeBinary),  # the key that it changes to, or NULL
    sa.Column("told", sa.Integer, nullable=False),  # the number of the list of managers that the device has acknowledged
)
# The public keys of devices (public_keys.PublicKey). The `key` of such a device is empty.
PUBLIC_KEY = sa.Table(
    "public_key",
    METADATA,
    sa.Column("identity", sa.LargeBinary, sa.ForeignKey("device.identity"), primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("name", sa.Text, unique=True),
    sa.Column("issuer", sa.LargeBinary),
    sa.Column("is_wanted", sa.Boolean, nullable=False),
    sa.Column("following", sa.LargeBinary, unique=True),
    sa.Column("not_before", _BIG),
    sa.Column("not_after", _BIG),
    sa.Column("offered", sa.LargeBinary),
    sa.Column("revoked_at", _TIME),
)
# The private keys of the manager itself.
OWN_KEY = sa.Table(
    "own_key",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("private", sa.LargeBinary, nullable=False),
)
GROUP = sa.Table(
    "group_state",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("gid", sa.LargeBinary, nullable=False),
    sa.Column("address", sa.LargeBinary, nullable=False),
    sa.Column("port", sa.Integer, nullable=False),
    sa.Column("layout", sa.Integer, nullable=False),
    sa.Column("lifetime_s", _BIG, nullable=False),
    sa.Column("suite", sa.Integer, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("grace_s", sa.Integer, nullable=False),
    sa.Column("tgk", sa.LargeBinary, nullable=False),
    sa.Column("cs_id", sa.LargeBinary, nullable=False),
    sa.Column("rand", sa.LargeBinary, nullable=False),
    sa.Column("rekey_s", _BIG, nullable=False),
    sa.Column("since", _TIME, nullable=False),
)
MEMBER = sa.Table(
    "member",
    METADATA,
    sa.Column("group_name", sa.Text, sa.ForeignKey("group_state.name"), primary_key=True),
    sa.Column("identity", sa.LargeBinary, sa.ForeignKey("device.identity"), primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("id", sa.Integer),
    sa.Column("held", sa.Integer, nullable=False),
    sa.Column("sent", _BIG, nullable=False),
    sa.Column("offered", sa.Integer, nullable=False),
    sa.Column("added", _BIG, nullable=False),  # the order in which members were added
)
SESSION = sa.Table(
    "session",
    METADATA,
    sa.Column("identity", sa.LargeBinary, sa.ForeignKey("device.identity"), primary_key=True),
    sa.Column("address", sa.Text, nullable=False),  # JSON
    sa.Column("token", sa.LargeBinary, nullable=False),
    sa.Column("heard", _TIME, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("back", _TIME, nullable=False),
)
AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("number", _BIG, primary_key=True, autoincrement=False),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("group_name", sa.Text),
    sa.Column("device", sa.Text),
    sa.Column("detail", sa.Text, nullable=False),  # JSON
)
# Entries of the audit log that are older than a row of this table may be deleted: there is one only while the log is pruned.
PRUNING = sa.Table("audit_pruning", METADATA, sa.Column("before", _TIME, primary_key=True))
# One JSON value for each name.
SETTING = sa.Table("setting", METADATA, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))
VERSION = sa.Table("alembic_version", METADATA, sa.Column("version_num", sa.String(32), primary_key=True))

SECRETS = {DEVICE: ("key", "next_key"), GROUP: ("tgk", "cs_id", "rand"), SESSION: ("token",), OWN_KEY: ("private",)}

# The audit log is append-only, but for entries that PRUNING allows to delete.
TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER audit_stays BEFORE DELETE ON audit WHEN NOT EXISTS (SELECT 1 FROM audit_pruning WHERE OLD.at < before)
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
        """CREATE TRIGGER audit_is_written_once BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'DELETE' AND EXISTS (SELECT 1 FROM audit_pruning WHERE OLD.at < before) THEN RETURN OLD; END IF;
        RAISE EXCEPTION 'the audit log is append-only'; END $$""",
        "CREATE TRIGGER audit_stays BEFORE DELETE OR UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_stays()",
        "CREATE TRIGGER audit_is_not_truncated BEFORE TRUNCATE ON audit EXECUTE FUNCTION audit_stays()",
    ),
}


def create(connection):
    """Create all tables of the newest revision in an empty database."""
    METADATA.create_all(connection)
    for statement in TRIGGERS[connection.dialect.name]:
        connection.exec_driver_sql(statement)
    connection.execute(VERSION.insert().values(version_num=REVISION))
