twistd -n console &

export OS_AUTH_TYPE=none OS_USERNAME=x OS_PROJECT_NAME=x OS_AUTH_URL=http://unused
export OS_ENDPOINT=http://127.0.0.1:8774/v2.1
nova list
nova get-vnc-console myserver20 novnc
