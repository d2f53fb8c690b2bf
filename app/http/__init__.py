"""Connections, limits, refusals, rest, drain, deadlines: once, whatever transport parses and writes.

Of what answers requests it knows a tornado.web.Application only: no handler, no counter, no Redis.
"""
