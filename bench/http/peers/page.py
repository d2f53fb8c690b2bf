"""The page through jinja2, for the frameworks that have no templates of their own."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader

TEMPLATES = Path(__file__).parent / "templates"
ENVIRONMENT = "DEV"
_page = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True).get_template("page.html")


def page(counter: int) -> str:
    return _page.render(counter=counter, environment=ENVIRONMENT)
