"""The environment of unmodified clients, by the way in which the API authenticates them."""

import os
import re


class ClientSettings:
    """Settings for clients of the API at ``url``."""

    url: str

    def none(self, client: str) -> dict[str, str]:
        """Return the settings for noauth."""
        settings = {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": f"{self.url}/v2.1"}
        if client == "nova":
            return settings | {"OS_USERNAME": "x", "OS_PROJECT_NAME": "x", "OS_AUTH_URL": "http://unused"}
        return settings | {"OS_IDENTITY_API_VERSION": "3"}

    def basic(self, client: str, user: str, password: str) -> dict[str, str]:
        """Return the settings for HTTP Basic."""
        settings = {"OS_AUTH_TYPE": "http_basic", "OS_USERNAME": user, "OS_PASSWORD": password}
        if client == "nova":
            endpoint = {"OS_PROJECT_NAME": "x", "OS_AUTH_URL": "http://unused", "OS_ENDPOINT": f"{self.url}/v2.1"}
            return settings | endpoint
        return settings | {"OS_ENDPOINT": f"{self.url}/v3", "OS_COMPUTE_ENDPOINT_OVERRIDE": f"{self.url}/v2.1"}

    def password(self, user: str, password: str, project: str) -> dict[str, str]:
        """Return the settings for a log-in at the API's small identity service."""
        return {
            "OS_AUTH_URL": f"{self.url}/identity",
            "OS_USERNAME": user,
            "OS_PASSWORD": password,
            "OS_PROJECT_NAME": project,
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
        }


def environment(home: str, settings: dict[str, str]) -> dict[str, str]:
    """Return the tests' environment, without settings for OpenStack or a proxy, together with these settings."""
    env = {key: value for key, value in os.environ.items() if not re.match(r"(?i)OS_|.*_proxy$", key)}
    return env | {"HOME": home, "PYTHONWARNINGS": "ignore", "COLUMNS": "200"} | settings
