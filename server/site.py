"""The routes that people's browsers ask for: the page, its static files, and the description of the API."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import HTMLResponse

from server.apidocs import ASSETS, render_docs
from server.errors import NotFoundError
from server.files import REVALIDATE, FileStore
from server.negotiation import choose_language
from server.page import LANGUAGES, Page
from server.service import service_of


def site_router(static: FileStore, page: Page) -> APIRouter:
    """Routes over the page and its files; none of them is part of the documented API."""
    router = APIRouter(include_in_schema=False)
    docs_files = FileStore(ASSETS)

    @router.get("/")
    async def read_page(request: Request, lang: Annotated[str | None, Query()] = None) -> Response:
        language = lang if lang in LANGUAGES else choose_language(request.headers.get("accept-language"), LANGUAGES)
        html = page.render(language, service_of(request).model_list())
        return HTMLResponse(html, headers=_page_headers() | {"Content-Language": language, "Vary": "Accept-Language"})

    @router.get("/static/{path:path}")
    async def read_static(path: str, request: Request) -> Response:
        return static.answer(request, path)

    @router.get("/favicon.ico")
    async def read_icon(request: Request) -> Response:
        return static.answer(request, "favicon.svg")

    @router.get("/docs")
    async def read_docs(request: Request) -> Response:
        return HTMLResponse(render_docs(request.app.openapi(), docs_files), headers=_page_headers())

    @router.get("/docs/{name}")
    async def read_docs_file(name: str, request: Request) -> Response:
        if name not in ("docs.css", "docs.js"):
            raise NotFoundError(f"There is no file '/docs/{name[:100]}'; /docs is the page.")
        return docs_files.answer(request, name)

    return router


def _page_headers() -> dict[str, str]:
    return {"Cache-Control": REVALIDATE}
