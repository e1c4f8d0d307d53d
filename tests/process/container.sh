#!/bin/sh
# Stands for `docker run [-v HOST:INSIDE]... [-e NAME=VALUE]... IMAGE COMMAND...`: a user and a mount namespace of its own
# with the system's programs, `keyfob`, what is mounted, and nothing else. Needs no right but that to make namespaces.
set -e
[ "$1" = run ] && shift
keyfob=$(command -v keyfob)
mounts= variables=
while :; do
    case "$1" in
        -v) mounts="$mounts $2"; shift 2 ;;
        -e) variables="$variables $2"; shift 2 ;;
        *) shift; break ;;
    esac
done
export keyfob mounts variables PATH="$PATH:/usr/sbin:/sbin"
exec unshare --user --map-root-user --mount sh -ec '
    root=$(mktemp -d)
    mount -t tmpfs tmpfs "$root"
    for dir in /usr /lib /lib64 /bin; do
        if [ -L "$dir" ]; then
            cp -P "$dir" "$root$dir"
        elif [ -d "$dir" ]; then
            mkdir "$root$dir"
            mount --rbind "$dir" "$root$dir"
        fi
    done
    mkdir -p "$root/opt" "$root/run" "$root/tmp"
    for mount in "$keyfob:/opt/keyfob" $mounts; do
        : > "$root${mount#*:}"
        mount --bind "${mount%%:*}" "$root${mount#*:}"
    done
    exec chroot "$root" /usr/bin/env -i PATH=/opt:/usr/bin:/bin $variables "$@"' sh "$@"
