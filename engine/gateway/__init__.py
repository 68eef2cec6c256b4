"""The kernel over HTTP: the routes of AIOS for its clients, and a versioned API of our own. FastAPI lives only here."""
