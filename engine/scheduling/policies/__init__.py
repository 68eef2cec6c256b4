"""The built-in policies, one in each file. The registry loads every module here."""
