"""Our own API, version 1. Within a version fields are added, never changed or removed."""
