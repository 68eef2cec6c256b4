"""One policy a file; every module here is loaded by the registry."""
