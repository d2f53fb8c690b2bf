"""How whatever a request needs says that it is not there: handlers answer with 503, probes name it."""


class Unavailable(Exception):
    """Something that the service needs cannot be used now."""

    what = "service"
    """What it is that cannot be used, as visitors are told."""

    def __init__(self, reason: str) -> None:
        """`reason`: a few words for logs and probes, without internals."""
        super().__init__(f"the {self.what} is unavailable: {reason}")
        self.reason = reason

    @property
    def mends_itself(self) -> bool:
        """Whether it may be available in a moment; otherwise it takes a person."""
        return True
