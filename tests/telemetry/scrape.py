"""What a scrape of the service says."""

from prometheus_client.parser import text_string_to_metric_families

from tests.service import Service


class Scrape:
    """All samples of one moment."""

    def __init__(self, text: str) -> None:
        self.samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    def value(self, name: str, **labels: str) -> float:
        """Return the value of the only sample with this name that has these labels, and no others."""
        (value,) = [one.value for one in self.samples if one.name == name and one.labels == labels]
        return value

    def by(self, name: str, label: str) -> dict[str, float]:
        """Return the values of all samples of a name, by their only label."""
        return {one.labels[label]: one.value for one in self.samples if one.name == name}

    def names(self) -> set[str]:
        return {one.name for one in self.samples}


def scrape(service: Service) -> Scrape:
    return Scrape(service.metrics())
