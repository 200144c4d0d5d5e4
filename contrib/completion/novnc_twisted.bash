# bash completion of the commands of novnc_twisted.  Source this file, or install it as
# /usr/share/bash-completion/completions/COMMAND for each command.  For twistd, it completes only the commands of
# novnc_twisted and their options.

_novnc_twisted() {
    local word=$2 previous=$3 options files='' folders='' values=''
    COMPREPLY=()
    case ${1##*/} in
    twistd)
        local commands=' console consoleapi consoleauth consolecompute novncproxy xvpvncproxy ' one
        options='--nodaemon --pidfile= --logfile= --help --version'
        for one in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
            [[ $commands != *" $one "* ]] || options='--config-file --check-config --help --version' commands=''
        done
        files='--config-file'
        ;;
    nova-novncproxy | nova-xvpvncproxy)
        options='--help --version --config-file --config-dir --check-config --log-file --logfile --log-dir --logdir
            --cert --key --web --vnc-novncproxy-host --novncproxy-host --vnc-novncproxy-port --novncproxy-port
            --vnc-xvpvncproxy-host --xvpvncproxy-host --vnc-xvpvncproxy-port --xvpvncproxy-port
            --vnc-auth-schemes --auth-schemes --vnc-vencrypt-client-key --vencrypt-client-key
            --vnc-vencrypt-client-cert --vencrypt-client-cert --vnc-vencrypt-ca-certs --vencrypt-ca-certs
            --state-path --debug --nodebug --ssl-only --nossl-only'
        files='--config-file --log-file --logfile --cert --key --vnc-vencrypt-client-key --vencrypt-client-key
            --vnc-vencrypt-client-cert --vencrypt-client-cert --vnc-vencrypt-ca-certs --vencrypt-ca-certs'
        folders='--config-dir --log-dir --logdir --web --state-path'
        values='--vnc-novncproxy-host --novncproxy-host --vnc-novncproxy-port --novncproxy-port
            --vnc-xvpvncproxy-host --xvpvncproxy-host --vnc-xvpvncproxy-port --xvpvncproxy-port
            --vnc-auth-schemes --auth-schemes'
        ;;
    novnc-reload)
        options='--help --config-file --optional-config-file --take-over'
        files='--config-file --optional-config-file'
        ;;
    novnc-redis-acl)
        options='--help --url --into --password-stdin'
        folders='--into'
        values='--url'
        ;;
    esac
    case " ${files//$'\n'/ } " in *" $previous "*) _novnc_twisted_paths -f "$word"; return ;; esac
    case " ${folders//$'\n'/ } " in *" $previous "*) _novnc_twisted_paths -d "$word"; return ;; esac
    case " ${values//$'\n'/ } " in *" $previous "*) return ;; esac
    case ${1##*/}:$word in
    *:-*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") ;;
    twistd:*) mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word") ;;
    novnc-reload:*) _novnc_twisted_paths -d "${word:-/run/novnc-}" ;;
    novnc-redis-acl:*) mapfile -t COMPREPLY < <(compgen -W 'api consoleauth proxy compute.' -- "$word") ;;
    esac
}

_novnc_twisted_paths() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

complete -F _novnc_twisted twistd nova-novncproxy nova-xvpvncproxy novnc-reload novnc-redis-acl
