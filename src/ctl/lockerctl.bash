# SPDX-License-Identifier: Apache-2.0
# bash completion for lockerctl. Slots, parcels and people are asked of the running daemon; when it does not answer
# there is simply nothing to choose from.

__lockerctl_first_column() {
    local -a bus=()
    [[ $__lockerctl_bus ]] && bus=(--bus "$__lockerctl_bus")
    lockerctl "${bus[@]}" --no-legend --no-color "$@" 2>/dev/null | awk '{print $1}'
}

# With a slot already typed up to its slash: that slot's positions.
__lockerctl_places() {
    local slot=${cur%%/*}
    if [[ $cur == */* ]]; then
        __lockerctl_first_column slots "$slot" | grep -F "$slot/"
    else
        __lockerctl_first_column slots
    fi
}

__lockerctl_sizes() {
    lockerctl --json status 2>/dev/null |
        sed -n '/"sizes"/,/\]/s/^ *"name": "\(.*\)",\{0,1\}$/\1/p'
}

_lockerctl() {
    local cur prev words cword
    _get_comp_words_by_ref -n =: cur prev words cword 2>/dev/null || {
        cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    }

    local everywhere='--json --no-color --no-legend --bus --yes --help'
    local secrets='--stdin --secret-file'
    local -A options=(
        [status]='' [map]='' [slots]='' [parcels]='' [parcel]='' [people]='' [audit]='' [backup]=''
        [deposit]="--courier --size --recipient --phone --waybill --parcel --accessible --temperature --exact --no-wait --timeout $secrets"
        [collect]="--code --slot --phone-tail --phone --waybill --password --pattern --card --fingerprint --parcel --accept --reject --no-wait --timeout $secrets"
        [take-back]="--courier --timeout $secrets"
        [open]='--reason' [disable]='--reason' [enable]='--reason' [reconcile]='--reason'
        [recall]='--reason' [new-code]='--reason' [release]='--reason' [revoke]='--credential --reason'
        [lockout]="--reason --courier $secrets"
        [events]='--follow --after --newest --all'
        [enrol]="--number --name --phone --pin --password --pattern --card --new-card --fingerprint --face --voice --consent --consent-text --consent-version $secrets"
        [check-config]='--config --cabinet' [link]='--config --cabinet' [restore]='--reason --nothing-since --renumber --config --cabinet'
    )

    # The verb, and how many words stand before the one being typed.
    local verb='' n=0 i __lockerctl_bus=''
    for ((i = 1; i < cword; i++)); do
        case ${words[i]} in
            --bus) __lockerctl_bus=${words[++i]} ;;
            --bus=*) __lockerctl_bus=${words[i]#*=} ;;
            --courier | --size | --recipient | --phone | --waybill | --parcel | --temperature | --code | --slot | \
                --timeout | --phone-tail | --reason | -r | --after | --newest | -n | --number | --name | --secret-file | --config | \
                --cabinet | --credential | --consent-text | --consent-version) ((i++)) ;;
            -*) ;;
            *) if [[ $verb ]]; then ((n++)); else verb=${words[i]}; fi ;;
        esac
    done

    local choices=''
    case $prev in
        --size) choices=$(__lockerctl_sizes) ;;
        --credential) choices='pin password pattern card fingerprint face voice' ;;
        --temperature) choices='ambient chilled frozen' ;;
        --slot) choices=$(__lockerctl_first_column slots) ;;
        --parcel) choices=$(__lockerctl_first_column parcels) ;;
        --secret-file | --config | --cabinet)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
            ;;
        --courier | --recipient | --phone | --waybill | --code | --phone-tail | --reason | -r | --after | --newest | -n | \
            --number | --name | --timeout | --bus | --consent-text | --consent-version) return ;;
        *)
            if [[ $cur == -* ]]; then
                choices="${options[$verb]-} $everywhere"
                [[ $verb ]] || choices+=' --version'
            else
                case $verb:$n in
                    :*) choices="${!options[*]} help" ;;
                    help:0) choices="${!options[*]}" ;;
                    slots:0) choices=$(__lockerctl_first_column slots) ;;
                    open:0 | disable:0 | enable:0 | reconcile:0) choices=$(__lockerctl_places) ;;
                    reconcile:1) choices='parcel empty' ;;
                    parcel:0 | recall:0 | new-code:0 | release:0) choices=$(__lockerctl_first_column parcels) ;;
                    revoke:0) choices=$(__lockerctl_first_column people) ;;
                    enrol:0) choices="courier recipient $(__lockerctl_first_column people)" ;;
                    lockout:0) choices='list lift' ;;
                    lockout:1) choices=$(__lockerctl_first_column lockout) ;;
                    audit:0) choices='verify' ;;
                    backup:0 | restore:0 | check-config:0)
                        compopt -o filenames
                        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                        return
                        ;;
                esac
            fi
            ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur")
    # subjects of lockouts have colons in them, at which readline breaks words
    declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
}

complete -F _lockerctl lockerctl
