"""m2fnet-hf as a web service: `uvicorn app:app`. `M2FNET_MODEL` names the model."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from fastapi import Body, FastAPI, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from predictor import LARGEST_REQUEST, Predictor, sentence

app = FastAPI(title="m2fnet-hf", description="A conversation to the emotion of every utterance.")
predictor = Predictor(os.environ.get("M2FNET_MODEL"))


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/predict")
def predict(transcript: UploadFile, recording: UploadFile | None = None) -> dict[str, Any]:
    """A transcript of any format that the package reads, and perhaps its recording."""
    with tempfile.TemporaryDirectory() as folder:
        words = _keep(transcript, Path(folder), "transcript")
        return predictor.predict_files(
            words, None if recording is None else _keep(recording, Path(folder), "recording")
        )


@app.post("/utterances")
def utterances(utterances: list[Any] = Body(embed=True)) -> dict[str, Any]:  # noqa: B008  FastAPI's way
    """Words, each with its speaker where that is known."""
    return predictor.predict(utterances)


@app.middleware("http")
async def limit(request: Request, call_next: Any) -> Any:
    """Refuse a body that is too large, or does not say how large it is, before it is read."""
    length = request.headers.get("content-length", "")
    if request.method == "POST" and not (length.isdecimal() and int(length) <= LARGEST_REQUEST):
        found = f"{int(length):,} bytes" if length.isdecimal() else "no Content-Length"
        return _error(413, f"A request must have up to {LARGEST_REQUEST:,} bytes, found {found}; send a smaller file.")
    return await call_next(request)


@app.exception_handler(RequestValidationError)
async def misshapen(request: Request, error: RequestValidationError) -> JSONResponse:
    fields = ", ".join(sorted({str(one["loc"][-1]) for one in error.errors()}))
    return _error(422, f"The request lacks what /docs lists, found a problem with {fields}; correct it.")


@app.exception_handler(OSError)
@app.exception_handler(TypeError)
@app.exception_handler(ValueError)
async def refused(request: Request, error: Exception) -> JSONResponse:
    return _error(422, sentence(error))


@app.exception_handler(Exception)
async def failed(request: Request, error: Exception) -> JSONResponse:
    return _error(500, sentence(error))


def _keep(upload: UploadFile, folder: Path, name: str) -> Path:
    """The upload under a name of ours, whose ending alone is the client's."""
    path = folder / f"{name}{Path(upload.filename or '').suffix[:12]}"
    with path.open("wb") as file:
        shutil.copyfileobj(upload.file, file)
    return path


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)
