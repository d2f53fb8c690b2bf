"""What a developer's machine needs: the local run, the tools, the linters."""
