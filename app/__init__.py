"""The service: a web API that counts visits in Redis."""
