"""The counter: visits that wait at the same moment go to Redis as one batch, which is applied exactly once.

Knows Redis' commands and nothing of HTTP.
"""
