"""A FastAPI service as people write one by hand: what the peers of `bench.serving` share around their own answer."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Ask(BaseModel):
    customer: int
    price: float
    distance: float
    items: int
    hour: int
    coupon: float | None = None


def serve(answer: Callable[[dict[str, Any]], tuple[float, list[float]]], folder: Path) -> None:
    """Answer `/predict` with a score, given with the row it is of, on a port that is printed.

    Each answer is appended to a log in the folder, which is never synced.
    """
    app = FastAPI()
    with open(folder / "answers.jsonl", "a", buffering=1) as log:

        @app.post("/predict")
        async def predict(ask: Ask) -> dict[str, float]:
            asked = ask.model_dump()
            score, row = answer(asked)
            log.write(json.dumps({"at": time.time(), **asked, "features": row, "score": score}) + "\n")
            return {"score": score}

        listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        print(listening.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listening])
