# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Revision 3: the tables of SQLAlchemy: groups and sessions, the order of members, settings, a log that is pruned.

The new tables replace the old ones, so that a file that was taken over has the same tables as a new one.
"""

from alembic import op

revision, down_revision = "3", "2"

_TABLES = """
CREATE TABLE device_3 (identity BLOB NOT NULL, name TEXT NOT NULL, "key" BLOB NOT NULL, made REAL NOT NULL,
    key_number INTEGER NOT NULL, next_key BLOB, told INTEGER NOT NULL, PRIMARY KEY (identity), UNIQUE (name));
INSERT INTO device_3 SELECT identity, name, key, made, 0, NULL, 0 FROM device;
CREATE TABLE group_state (name TEXT NOT NULL, gid BLOB NOT NULL, address BLOB NOT NULL, port INTEGER NOT NULL,
    layout INTEGER NOT NULL, lifetime_s INTEGER NOT NULL, suite INTEGER NOT NULL, epoch INTEGER NOT NULL, active BOOLEAN NOT NULL,
    grace_s INTEGER NOT NULL, tgk BLOB NOT NULL, cs_id BLOB NOT NULL, rand BLOB NOT NULL, rekey_s INTEGER NOT NULL,
    since REAL NOT NULL, PRIMARY KEY (name));
INSERT INTO group_state SELECT name, gid, address, port, layout, lifetime_s, 49320, epoch, active, grace_s, tgk, cs_id, rand,
    rekey_s, since FROM roster;
CREATE TABLE member_3 (group_name TEXT NOT NULL, identity BLOB NOT NULL, role TEXT NOT NULL, id INTEGER, held INTEGER NOT NULL,
    sent INTEGER NOT NULL, offered INTEGER NOT NULL, added INTEGER NOT NULL, PRIMARY KEY (group_name, identity),
    FOREIGN KEY(group_name) REFERENCES group_state (name), FOREIGN KEY(identity) REFERENCES device_3 (identity));
INSERT INTO member_3 SELECT roster, identity, role, id, held, sent, offered, rowid FROM member;
CREATE TABLE audit_3 (number INTEGER NOT NULL, at REAL NOT NULL, event TEXT NOT NULL, group_name TEXT, device TEXT,
    detail TEXT NOT NULL, PRIMARY KEY (number));
INSERT INTO audit_3 SELECT number, at, event, roster, device, detail FROM audit;
DROP TRIGGER audit_stays;
DROP TRIGGER audit_is_written_once;
DROP TABLE member;
DROP TABLE roster;
DROP TABLE device;
DROP TABLE audit;
ALTER TABLE device_3 RENAME TO device;
ALTER TABLE member_3 RENAME TO member;
ALTER TABLE audit_3 RENAME TO audit;
CREATE TABLE session (identity BLOB NOT NULL, address TEXT NOT NULL, token BLOB NOT NULL, heard REAL NOT NULL,
    state TEXT NOT NULL, back REAL NOT NULL,    PRIMARY KEY (identity), FOREIGN KEY(identity) REFERENCES device (identity));
CREATE TABLE audit_pruning ("before" REAL NOT NULL, PRIMARY KEY ("before"));
CREATE TABLE setting (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name));
PRAGMA user_version = 3
"""
_TRIGGERS = (
    """CREATE TRIGGER audit_stays BEFORE DELETE ON audit WHEN NOT EXISTS (SELECT 1 FROM audit_pruning WHERE OLD.at < before)
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_is_written_once BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
)


def upgrade():
    """Copy the rows into the new tables."""
    for statement in [*_TABLES.strip().split(";\n"), *_TRIGGERS]:
        op.get_bind().exec_driver_sql(statement)
