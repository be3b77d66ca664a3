# Sourced by ./demo and ./check: installs what is missing, where it may.

# need COMMAND...: makes sure that each command is there.
need() {
    missing=
    for command in "$@"; do
        command -v "$command" >/dev/null 2>&1 || missing="$missing $command"
    done
    [ -n "$missing" ] || return 0
    case "$missing" in
        *cargo*)
            echo "Rust is missing: install it from https://rustup.rs and run this again." >&2
            exit 1
            ;;
    esac
    # The names of the Debian packages are those of the commands, but for these.
    packages=$(echo "$missing" | sed 's/ cc/ build-essential/; s/ c++/ g++/; s/ mkfs.ext4/ e2fsprogs/')
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "Please install:$missing" >&2
        exit 1
    fi
    as_root=
    if [ "$(id -u)" != 0 ]; then as_root=sudo; fi
    $as_root apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    $as_root apt-get install -y -qq --no-install-recommends $packages
}
