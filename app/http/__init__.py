"""Connections, limits, refusals, rest, drain, deadlines: once, whatever transport parses and writes.

Knows what is to be answered by a tornado.web.Application only: no handler, no counter, no Redis.
"""
