"""Values files that break a release in ways a chart cannot see."""

from pathlib import Path

import yaml

from tests.faults.deploy.deployment import Deployment


def values_file(folder: Path, values: dict[str, object]) -> Path:
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def never_ready(deployment: Deployment, folder: Path) -> Path:
    """The service looks for its Redis where none is: alive, and never ready."""
    return values_file(
        folder,
        {
            "redis": {"mode": "external", "host": "redis.invalid"},
            "secret": {"mode": "existing", "name": f"{deployment.project.name}-redis-auth"},
        },
    )


def crashes(text: str) -> str:
    """Of app/__main__.py: a version that ends at its start."""
    return f'raise SystemExit("broken on purpose")\n{text}'


def other_digest(text: str) -> str:
    """Of app/handlers/version.py: a version that does not say what it is."""
    return text.replace("settings.image_digest", '"sha256:unknown"')
