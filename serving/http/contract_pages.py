"""The pages that describe the calls: the contract, BentoML's schema, and Swagger UI."""

import msgspec

from serving.bento.swagger_ui import SCRIPT, STYLE, swagger_ui_file
from serving.contract.bento_schema import bento_schema
from serving.contract.flat_fields import flat_fields
from serving.contract.openapi import contracts, openapi
from serving.errors import RequestError
from serving.http.report_files import HEADERS, NEVER
from serving.http.response import JSON, Response
from serving.served_model import ServedModel
from serving.settings import Settings

OPENAPI, SWAGGER = "/contract/openapi-3.0.json", "/contract/swagger-2.0.json"
DOCS, SCHEMA = "/docs.json", "/schema.json"  # where BentoML has them
INDEX, ASSETS = "/", "/static_content/"
PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>leadscore</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{ASSETS[1:]}{STYLE}">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{ASSETS[1:]}{SCRIPT}"></script>
<script src="{ASSETS[1:]}start.js"></script>
</body>
</html>
"""
START = f"""SwaggerUIBundle({{
  url: "{DOCS[1:]}",
  dom_id: "#swagger-ui",
  deepLinking: true,
}});
"""
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'"
)
CONTENT_TYPES = {
    INDEX: b"text/html; charset=utf-8",
    ASSETS + STYLE: b"text/css; charset=utf-8",
    ASSETS + SCRIPT: b"text/javascript; charset=utf-8",
    ASSETS + "start.js": b"text/javascript; charset=utf-8",
    OPENAPI: JSON,
    SWAGGER: JSON,
    DOCS: JSON,
    SCHEMA: JSON,
}
CONTRACT_PAGES = frozenset(CONTENT_TYPES)


class ContractPages:
    """The contract in its forms, with the fields of the model that answers.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._documents: dict[str, bytes] = {}
        self._model: ServedModel | None = None

    def page(self, path: str, model: ServedModel | None) -> Response:
        """Answer one of the pages. The documents are built once for each model.

        Raises
        ------
        RequestError
            404 if this version of BentoML does not contain Swagger UI.
        """
        if not self._documents or self._model is not model:
            self._model = model
            fields = flat_fields(model) if model else {}
            three, two = contracts(self._settings, fields)
            self._documents = {
                OPENAPI: three,
                SWAGGER: two,
                DOCS: msgspec.json.encode(openapi(".", fields)),  # the address it is read from
                SCHEMA: msgspec.json.encode(bento_schema()),
                INDEX: PAGE.encode(),
                ASSETS + "start.js": START.encode(),
            }
        content_type = CONTENT_TYPES[path]
        if content_type == JSON:
            return Response(200, JSON, self._documents[path])
        try:
            body = self._documents.get(path) or swagger_ui_file(path.removeprefix(ASSETS))
        except OSError:
            raise RequestError(404, "") from None
        headers = ((b"content-security-policy", POLICY + NEVER), *HEADERS)
        return Response(200, content_type, body, headers)
