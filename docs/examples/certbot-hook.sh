#!/bin/sh
# After certbot has issued or renewed a certificate: copy it to where the services can read it, and load it without ending sessions.
set -eu
install -d -m 755 /etc/nova/tls
install -m 644 "$RENEWED_LINEAGE/fullchain.pem" /etc/nova/tls/console.pem
install -m 640 -g novnc-proxy "$RENEWED_LINEAGE/privkey.pem" /etc/nova/tls/console-key.pem
install -m 640 -g novnc-consoleapi "$RENEWED_LINEAGE/privkey.pem" /etc/nova/tls/api-key.pem
for service in console novncproxy xvpvncproxy consoleapi; do
    if systemctl is-active --quiet "$service"; then
        systemctl reload "$service"
    fi
done
