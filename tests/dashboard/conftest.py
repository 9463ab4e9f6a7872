"""Two small dashboards, with files of the kinds that the real ones have."""

from __future__ import annotations

from pathlib import Path

import pytest

PLACEHOLDER = "/PREFECT_UI_SERVE_BASE_REPLACE_PLACEHOLDER"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory as the reference's wheel has it."""
    root = tmp_path / "server"
    for name in ("ui", "ui-v2"):
        bundle = root / name
        (bundle / "assets").mkdir(parents=True)
        (bundle / "ico").mkdir()
        (bundle / "index.html").write_text(f'<title>{name}</title><script src="{PLACEHOLDER}/assets/index-x1.js">')
        (bundle / "assets" / "index-x1.js").write_text(f'const base = "{PLACEHOLDER}";' + "// padding\n" * 100)
        (bundle / "assets" / "plain-x2.js").write_text(f"const of = '{name}';" + "// padding\n" * 100)
        (bundle / "ico" / "favicon.ico").write_bytes(b"\x00\x01icon")
        (bundle / "logo.png").write_bytes(b"\x89PNG")
    (tmp_path / "secret.txt").write_text("not for browsers")
    return root
