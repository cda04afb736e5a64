# SPDX-License-Identifier: Apache-2.0
"""The one binding in a store of ours becomes N, each of a user of its own: clone.py STORE N"""
import os
import sqlite3
import sys

store, count = sys.argv[1], int(sys.argv[2])
db = sqlite3.connect(store)
columns = [row[1] for row in db.execute("PRAGMA table_info(bindings)")]
[first] = db.execute("SELECT * FROM bindings").fetchall()


def named(value, number):
    if isinstance(value, str):
        return value.replace("u000000", f"u{number:06d}")
    return value.replace(b"u000000", f"u{number:06d}".encode()) if isinstance(value, bytes) else value


db.executemany(f"INSERT INTO bindings VALUES ({','.join('?' * len(columns))})",
               ([named(value, number) for value in first] for number in range(1, count)))
db.commit()
print(db.execute("SELECT count(*) FROM bindings").fetchone()[0], "contacts,", os.path.getsize(store), "bytes")
