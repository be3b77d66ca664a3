# Sourced by ./minute and ./minimise, in this directory: the targets of both crates, and where
# their inputs are.

TARGETS="jws json sealed attachment log agent_sync agent_enrol agent_config certificate server_batch
server_http server_enrol server_config whatsapp signal telegram sms teams meta slack mail pasted zip
any"

# of_target TARGET: sets `crate` to the crate that it is in, `seeds` and `inputs` to the directories
# that hold its seeds and all of its inputs, and `words` to how it is told its dictionary.
of_target() {
    crate=.
    [ -f "fuzz_targets/$1.rs" ] || crate=../../agent/import/fuzz
    words=
    [ ! -f "$crate/dictionaries/$1.dict" ] || words=-dict=$crate/dictionaries/$1.dict
    # The importers are also seeded with the exports that their tests read.
    seeds=
    for folder in "$crate/seeds/$1" "$crate/../tests/$1"; do
        [ ! -d "$folder" ] || seeds="$seeds $folder"
    done
    case $1 in
    whatsapp) seeds="$seeds $crate/../tests/cases" ;;
    any)
        for folder in cases signal telegram sms teams meta slack mail; do
            seeds="$seeds $crate/../tests/$folder"
        done
        ;;
    esac
    inputs=$seeds
    [ ! -d "$crate/corpus/$1" ] || inputs="$inputs $crate/corpus/$1"
}
