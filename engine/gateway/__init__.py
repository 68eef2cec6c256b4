"""The kernel over HTTP: AIOS routes for its clients, and our own versioned API. FastAPI is imported only here."""
