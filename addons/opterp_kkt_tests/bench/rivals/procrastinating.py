"""Posts documents as tasks of Procrastinate, in order: one worker, one at a time. A process of its own.

procrastinating.py DSN URL DOCUMENTS.json
"""

import asyncio
import json
import sys

import httpx
import procrastinate

dsn, url, file = sys.argv[1:]
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn))


@app.task(name="post")
async def post(key: str, payload: str):
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    (await client.post(f"{url}/v1/documents", content=payload.encode(), headers=headers, timeout=10)).raise_for_status()


async def main():
    global client
    with open(file) as lines:
        documents = json.load(lines)
    async with app.open_async(), httpx.AsyncClient() as client:
        await app.schema_manager.apply_schema_async()
        await post.batch_defer_async(*documents)
        await app.run_worker_async(wait=False, concurrency=1, install_signal_handlers=False, delete_jobs="never")


asyncio.run(main())
