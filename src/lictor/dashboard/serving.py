"""The dashboards over HTTP: everything that is not under the API's base path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

from msgspec import Struct

from lictor.dashboard.bundles import INDEX, Bundle, Content
from lictor.dashboard.finding import Version
from lictor.kit.errors import HTTPError, NotFound
from lictor.web import errors, replies
from lictor.web.replies import Headers, Wire
from lictor.web.request import Receive, Request, Scope, Send

T = TypeVar("T")

COOKIE = "prefect_ui_version"

# Prefixes of proxies that pages are kept for; there is hardly ever a second one.
MOST_PREFIXES = 4

NONE_HERE = """\
<!doctype html><meta charset="utf-8"><title>Lictor</title>
<style>body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }</style>
<h1>No dashboard is here</h1>
<p>The API runs. To get a dashboard for it, run this on the server and start it again:</p>
<pre>lictor ui fetch</pre>
"""


class DashboardSettings(Struct, frozen=True, kw_only=True):
    """`directories` are those of the bundles that there are, maybe none; `base` is "" or "/path", `api_base` "/api"."""

    directories: dict[Version, Path]
    base: str = ""
    api_base: str = "/api"
    api_url: str | None = None
    preferred: Version = "v2"
    auth: bool = False
    csrf: bool = False
    image_sources: str = ""


class UISettings(Struct):
    """What `ui-settings` tells a browser before anybody has logged in. `api_url` may be relative to the server."""

    api_url: str
    csrf_enabled: bool
    auth: str | None
    flags: list[str]
    default_ui: str
    available_uis: list[str]
    v1_base_url: str | None
    v2_base_url: str | None


class Dashboard:
    """An ASGI application. `bases` are the paths of the two dashboards, without a slash at their end."""

    def __init__(self, settings: DashboardSettings) -> None:
        self.settings = settings
        base = settings.base.rstrip("/")
        # As the reference has it: the base may itself be that of v2.
        root = base.removesuffix("/v2")
        self.bases: dict[Version, str] = {"v1": root, "v2": f"{root}/v2"}
        self.available: list[Version] = [version for version in ("v1", "v2") if version in settings.directories]
        # One thread, so that files are prepared one after the other beside the API, and each once.
        self._thread = ThreadPoolExecutor(1, "lictor-dashboard")
        self._bundles: dict[Version, Bundle] = {}
        self._prefixes: set[str] = set()
        self._policy = _policy(settings).encode("latin-1", "ignore")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        request = Request.of(scope, path, path)
        try:
            answer = await self.answer(request)
        except Exception as error:
            answer = errors.answer(error, request)
        body = answer.body if isinstance(answer.body, bytes) else b""
        length = [] if answer.status == 304 else [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": answer.status, "headers": [*answer.headers, *length]})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})

    async def answer(self, request: Request) -> Wire:
        if request.method not in ("GET", "HEAD"):
            raise HTTPError(405, "Method Not Allowed", headers={"Allow": "GET, HEAD"})
        if not self.available:
            return _none_here(request)
        if request.path == f"{self.bases['v1']}/ui-settings":
            return replies.json(self.ui_settings(request), headers={"Cache-Control": "no-store"})
        found = self._place(request.path)
        if found is None:
            return self._outside(request)
        version, name = found
        other = self._redirected(request, version, name)
        return await self._file(request, version, name) if other is None else other

    def ui_settings(self, request: Request) -> UISettings:
        prefix = request.prefix
        urls = {version: (prefix + self.bases[version]) or "/" for version in self.available}
        return UISettings(
            api_url=self.settings.api_url or prefix + self.settings.api_base,
            csrf_enabled=self.settings.csrf,
            auth="BASIC" if self.settings.auth else None,
            flags=[],
            default_ui=self._default(),
            available_uis=list(self.available),
            v1_base_url=urls.get("v1"),
            v2_base_url=urls.get("v2"),
        )

    def _default(self) -> Version:
        preferred = self.settings.preferred
        return preferred if preferred in self.available else self.available[0]

    def _place(self, path: str) -> tuple[Version, str] | None:
        """Which dashboard a path is of, and the path in it; None for what is under neither."""
        for version in ("v2", "v1"):
            base = self.bases[version]
            if path == base or path.startswith(base + "/"):
                return version, path[len(base) :].strip("/")
        return None

    def _outside(self, request: Request) -> Wire:
        if request.path == "/" and _navigates(request):
            return _redirect(f"{request.prefix}{self.bases['v1']}/", request)
        raise NotFound("Not Found")

    def _redirected(self, request: Request, version: Version, name: str) -> Wire | None:
        """To the dashboard that the browser's cookie or the setting prefers, from the front page of v1; to the one that
        there is, from anywhere in one that there is not; and to the slash that relative links need."""
        if not _navigates(request):
            return None
        if version in self.available and request.path == self.bases[version] != "":
            return _redirect(f"{request.prefix}{request.path}/", request)
        if version in self.available and (version == "v2" or name):
            return None
        chosen = self._chosen(request)
        if chosen == version:
            return None
        return _redirect(f"{request.prefix}{self.bases[chosen]}/{quote(name)}", request)

    def _chosen(self, request: Request) -> Version:
        cookies = (part.strip() for part in (request.header("cookie") or "").split(";"))
        chosen = {cookie.partition("=")[2] for cookie in cookies if cookie.startswith(f"{COOKIE}=")}
        return next((version for version in self.available if version in chosen), self._default())

    async def _file(self, request: Request, version: Version, name: str) -> Wire:
        if version not in self.available:
            raise NotFound("Not Found")
        prefix = self._known(request.prefix)
        gzipped = b"gzip" in request.raw_headers.get(b"accept-encoding", b"")
        fallback = _navigates(request)
        content = await self._beside(lambda: self._content(version, name, prefix, gzipped, fallback))
        if content is None:
            raise NotFound("Not Found")
        headers = self._headers(content)
        if request.raw_headers.get(b"if-none-match") == content.tag.encode():
            return Wire(304, headers, b"")
        return Wire(200, headers, content.body)

    def _content(self, version: Version, name: str, prefix: str, gzipped: bool, fallback: bool) -> Content | None:
        bundle = self._bundles.get(version)
        if bundle is None:
            bundle = self._bundles[version] = Bundle(self.settings.directories[version])
        name = name or INDEX
        if name not in bundle and f"ico/{name}" in bundle:
            name = f"ico/{name}"  # both dashboards name their icons without their base
        elif name not in bundle:
            if not fallback:
                return None
            name = INDEX
        return bundle.content(name, prefix + self.bases[version], gzipped=gzipped)

    def _known(self, prefix: str) -> str:
        """The prefix, if pages may be prepared for it: whoever calls up made-up ones must not fill the memory."""
        if prefix and prefix not in self._prefixes:
            if len(self._prefixes) >= MOST_PREFIXES:
                return ""
            self._prefixes.add(prefix)
        return prefix

    def _beside(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _headers(self, content: Content) -> Headers:
        kept = b"public, max-age=31536000, immutable" if content.immutable else b"no-cache"
        headers: Headers = [
            (b"content-type", content.type.encode()),
            (b"etag", content.tag.encode()),
            (b"cache-control", kept),
            (b"vary", b"Accept-Encoding, X-Forwarded-Prefix"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if content.gzipped:
            headers.append((b"content-encoding", b"gzip"))
        if content.type.startswith("text/html"):
            headers += [(b"content-security-policy", self._policy), (b"referrer-policy", b"same-origin")]
        return headers


def _policy(settings: DashboardSettings) -> str:
    """Content-Security-Policy: pages may talk to this server and the API, and to nobody else. Their scripts come from
    here alone; they build styles at run time, and the graph of a run compiles its shaders."""
    parts = urlsplit(settings.api_url or "")
    api = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    images = " ".join(settings.image_sources.replace(";", " ").split())
    return "; ".join(
        (
            "default-src 'self'",
            f"connect-src 'self'{api}",
            f"img-src 'self' data: blob: {images}".strip(),
            "font-src 'self' data:",
            "script-src 'self' 'unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        )
    )


def _none_here(request: Request) -> Wire:
    if not _navigates(request):
        raise NotFound("Not Found")
    return Wire(404, [(b"content-type", b"text/html; charset=utf-8")], NONE_HERE.encode())


def _navigates(request: Request) -> bool:
    """Whether a browser asks for a page, and not for a part of one."""
    if request.header("sec-fetch-mode") == "navigate" or request.header("sec-fetch-dest") in ("document", "iframe"):
        return True
    return "text/html" in (request.header("accept") or "").lower()


def _redirect(path: str, request: Request) -> Wire:
    query = request.query_string.decode("latin-1")
    # More than one slash in front would be another host.
    location = "/" + path.lstrip("/") + (f"?{query}" if query else "")
    return Wire(307, [(b"location", location.encode("latin-1", "ignore")), (b"cache-control", b"no-store")], b"")
