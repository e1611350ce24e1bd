"""Clients that take up room: some send the head of a request a byte at a time, some nothing at all.

Whoever is sent away comes back a second later. Arguments: port, number of slow ones, number of silent ones. It goes on
until standard input ends.
"""

import asyncio
import resource
import sys

port, slow, silent = map(int, sys.argv[1:])
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
arrived = 0


async def come(head):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    global arrived
    arrived += 1
    try:
        for byte in head:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(1)
        await reader.read()
    finally:
        writer.close()


async def come_again_and_again(number, head):
    await asyncio.sleep(number % 1000 / 1000)
    while True:
        try:
            await come(head)
        except OSError:
            pass
        await asyncio.sleep(1)


async def main():
    heads = [b"GET /live HTTP/1.1\r\nHost: test\r\n"] * slow + [b""] * silent
    crowd = [asyncio.create_task(come_again_and_again(*it)) for it in enumerate(heads)]
    while arrived < len(crowd):
        await asyncio.sleep(0.05)
    print("there", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in crowd:
        task.cancel()


asyncio.run(main())
