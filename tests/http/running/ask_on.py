"""Asks a URL over and over until standard input ends, then says what came of it, as JSON.

Half of the clients keep their connections, half make a new one for each request. requests tries nothing twice.
"""

import collections
import json
import sys
import threading
import time

import requests

url, key, clients = sys.argv[1], sys.argv[2], int(sys.argv[3])
done = threading.Event()
outcomes = []
times = []


def ask_on(keeps_connection):
    session = requests.Session()
    session.trust_env = False
    while not done.is_set():
        started = time.monotonic()
        try:
            outcome = session.get(url, headers={"X-Api-Key": key}, timeout=20).status_code
        except requests.RequestException as error:
            outcome = repr(error)
        times.append(time.monotonic() - started)
        outcomes.append(str(outcome))
        if not keeps_connection:
            session.close()


threads = [threading.Thread(target=ask_on, args=(number % 2 == 0,)) for number in range(clients)]
for thread in threads:
    thread.start()
print("asking", flush=True)
sys.stdin.read()
done.set()
for thread in threads:
    thread.join()
times.sort()
print(json.dumps({
    "outcomes": collections.Counter(outcomes),
    "median": round(times[len(times) // 2], 4),
    "p99": round(times[len(times) * 99 // 100], 4),
    "slowest": round(times[-1], 4),
}))
