"""A model over HTTP: FastAPI and uvicorn around `core.serving.OnlineModel`; see README.md here."""
