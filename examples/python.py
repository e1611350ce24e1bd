"""API keys from Python, with psycopg 3 (Debian: python3-psycopg).

Run it as a role that is no more than a checker, after examples/policy.sql; libpq's variables
(PGHOST, PGDATABASE, PGUSER ...) say where and as whom:

    API_KEY=... python3 examples/python.py
"""

import os
import sys

import psycopg


def authorize(connection, key, address, scope):
    """Whether the key may do this from here, why not, and whose key it is. A bad key is no error."""
    return connection.execute(
        "SELECT allowed, reason, owner FROM keys.apikey_authorize(%s::text, %s::inet, %s::text)",
        (key, address, scope),
    ).fetchone()


def sell(connection, key, address, article):
    """Writes a row for the owner of the key, and reads the rows that are theirs."""
    with connection.transaction():
        # The identity ends with the transaction: log in again in the next one.
        (logged_in,) = connection.execute(
            "SELECT keys.apikey_login(%s::text, %s::inet)", (key, address)
        ).fetchone()
        if not logged_in:
            raise PermissionError("refused")
        connection.execute("INSERT INTO sale (article) VALUES (%s)", (article,))
        return [article for (article,) in connection.execute("SELECT article FROM sale ORDER BY id")]


def main():
    key = os.environ["API_KEY"]
    address = "192.0.2.1"  # of whoever uses the key: the peer of the request
    with psycopg.connect(autocommit=True) as connection:
        allowed, reason, owner = authorize(connection, key, address, "sale.write")
        if not allowed:
            sys.exit(f"refused: {reason}")
        print(f"{owner}: {', '.join(sell(connection, key, address, 'bread'))}")


main()
