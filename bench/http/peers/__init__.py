"""One peer a file, each started as a process of its own, with PORT and REDIS_PORT in its environment.

What a peer has to do stands in docs/speed.md. Only what no framework has a way of its own for is shared.
"""
