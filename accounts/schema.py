"""What several of our views say in the API's description, and how that names our authentication."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from accounts import services
from twitter.base.http.problems import Kind
from twitter.base.http.schema import refused

NO_USER = refused(404, Kind.NOT_FOUND, services.NO_USER)


class BearerTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A JWT in the Authorization header, and how Swagger UI gets one."""

    # By name: the class cannot be imported while Django REST framework is being imported.
    target_class = "accounts.authentication.BearerToken"
    name = ["logIn", "pasteToken"]  # shown in this order

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """Return the two as alternatives."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        """Return the OpenAPI security schemes, in the order of their names."""
        return [
            {
                "type": "oauth2",
                "description": "Log in here: username or e-mail address, and password.",
                "flows": {"password": {"tokenUrl": "/auth/token", "scopes": {}}},
            },
            {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "Or paste an `access_token` that `POST /auth/token` answered.",
            },
        ]
