"""The configuration files of the services, with everything on loopback and in one folder."""

from pathlib import Path

from tests.nova.rest import PASSWORD

PORTS = ("rabbit", "distribution", "epmd", "keystone", "placement", "nova", "stubs", "proxy")


def credentials(ports: dict[str, int], user: str) -> str:
    """The options with which keystoneauth1 logs in as a user of the project ``service``."""
    return f"""
auth_type = password
auth_url = http://127.0.0.1:{ports["keystone"]}/v3
username = {user}
password = {PASSWORD.format(name=user)}
project_name = service
user_domain_id = default
project_domain_id = default
region_name = RegionOne
"""


def database(folder: Path, name: str) -> str:
    """The URL of a database.  Several processes write to it, so each waits up to 60 s for a lock."""
    return f"sqlite:///{folder}/{name}.sqlite?timeout=60"


def keystone(folder: Path) -> str:
    """``keystone.conf``."""
    return f"""
[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = {database(folder, "keystone")}
sqlite_synchronous = false
[fernet_tokens]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[identity]
password_hash_rounds = 4
"""


def placement(folder: Path, ports: dict[str, int]) -> str:
    """``placement.conf``."""
    return f"""
[DEFAULT]
log_file = {folder}/placement.log
[placement_database]
connection = {database(folder, "placement")}
sqlite_synchronous = false
sync_on_startup = true
[keystone_authtoken]
{credentials(ports, "placement")}
"""


def nova(folder: Path, ports: dict[str, int]) -> str:
    """``nova.conf``, which the proxies read as well."""
    return f"""
[DEFAULT]
transport_url = rabbit://guest:guest@127.0.0.1:{ports["rabbit"]}//
state_path = {folder}/state
log_dir = {folder}
my_ip = 127.0.0.1
compute_driver = console_driver.ConsoleDriver
[api_database]
connection = {database(folder, "nova_api")}
sqlite_synchronous = false
[database]
connection = {database(folder, "nova_cell1")}
sqlite_synchronous = false
[keystone_authtoken]
service_type = compute
www_authenticate_uri = http://127.0.0.1:{ports["keystone"]}/v3
{credentials(ports, "nova")}
[service_user]
send_service_user_token = true
{credentials(ports, "nova")}
[placement]
{credentials(ports, "placement")}
[neutron]
{credentials(ports, "nova")}
[vnc]
server_listen = 127.0.0.1
server_proxyclient_address = 127.0.0.1
novncproxy_host = 127.0.0.1
novncproxy_port = {ports["proxy"]}
novncproxy_base_url = http://127.0.0.1:{ports["proxy"]}/vnc_lite.html
[oslo_concurrency]
lock_path = {folder}/lock
[conductor]
workers = 1
[scheduler]
workers = 1
"""


def compute(folder: Path, host: str) -> str:
    """The second configuration file of the compute service ``host``."""
    return f"""
[DEFAULT]
host = {host}
state_path = {folder}/{host}
log_file = {folder}/{host}.log
"""


def rabbit(folder: Path, ports: dict[str, int]) -> dict[str, str]:
    """The environment variables of RabbitMQ."""
    return {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"test{ports['rabbit']}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(ports["rabbit"]),
        "RABBITMQ_DIST_PORT": str(ports["distribution"]),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
    }
