"""The wire: HTTP in, HTTP out. Routes translate and delegate; nothing here decides anything."""
