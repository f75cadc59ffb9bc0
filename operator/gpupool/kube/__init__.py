"""The raw way to the API server: credentials, one HTTP client, resource paths, the server's clock."""
