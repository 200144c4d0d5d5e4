#!/bin/sh
# vnc-pki.sh ADDRESS NAME: create in the current directory a CA, a certificate for the VNC servers on the compute host
# with this address and name, and one for all proxies.  For the next compute host, move server-*.pem away and run it
# again: the CA and the proxies' certificate are kept.
set -eu
umask 077
address=$1 name=$2

issue() { # issue FILE SUBJECT EXTENSIONS
    printf '%s\n' "$3" >"$1.ext"
    openssl req -new -newkey rsa:3072 -nodes -subj "/CN=$2" -keyout "$1-key.pem" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -days 730 -extfile "$1.ext" \
        -out "$1-cert.pem"
    rm "$1.ext" "$1.csr"
}

if [ ! -e ca-key.pem ]; then
    openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj "/CN=CA of VNC servers and proxies" \
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca-key.pem -out ca-cert.pem
fi
issue server "$name" "subjectAltName = IP:$address, DNS:$name
extendedKeyUsage = serverAuth"
if [ ! -e client-cert.pem ]; then
    issue client proxies "extendedKeyUsage = clientAuth"
fi
