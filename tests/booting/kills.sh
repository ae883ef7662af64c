# Part of tests/boot: `image update` and the machine of an upgrade are killed at random moments.
# After each kill the disk is sound and whole by e2fsck and libostree, the old or the new version
# boots, and the next update succeeds.

# The image as it lies there: the file system after its journal was replayed, and what libostree
# finds in it.
inspect() {
  local device status=0 waited=0
  # The kernel detaches what a killed run had a moment later.
  while [ -n "$(losetup --associated "$image")" ]; do
    sleep 0.05; waited=$((waited + 1))
    [ $waited -lt 200 ] || fail "a loop device stays attached"
  done
  # e2fsck's own offset= is lost when it opens the device anew after a journal.
  device=$(losetup --find --show --offset $((1 << 20)) --sizelimit "$root_size" "$image")
  { e2fsck -y -E journal_only "$device" && e2fsck -f -n "$device"; } >fsck.log 2>&1 || status=$?
  if [ $status = 0 ]; then
    mkdir -p inside
    mount -o ro "$device" inside
    whole "$PWD/inside" >>fsck.log 2>&1 || status=$?
    umount inside
  fi
  losetup --detach "$device"
  [ $status = 0 ] || { cat fsck.log; fail "the disk is damaged"; }
}

# whole SYSROOT: libostree lists it, finds every object good, and every deployment that has a boot
# entry holds its commit; the entries lead to a kernel, an initramfs and a deployment.
whole() {
  local tree commit differing entry path
  ostree admin status --sysroot="$1" >listed || return
  ostree fsck --quiet --repo="$1/ostree/repo" || return
  for tree in $(grep -oE '\b[0-9a-f]{64}\.[0-9]+' listed); do
    commit=${tree%%.*}
    differing=$(ostree diff --repo="$1/ostree/repo" "$commit" "$1/ostree/deploy/vm/deploy/$tree") || return
    # The deployment has an /etc of its own.
    differing=$(grep -vE '^A    etc(/|$)' <<<"$differing" || true)
    [ -z "$differing" ] || { echo "deployment $tree is not its commit: $differing"; return 1; }
  done
  for entry in "$1"/boot/loader/entries/*.conf; do
    for path in $(awk '$1 == "linux" || $1 == "initrd" {print $2}' "$entry"); do
      [ -s "$1/boot/$path" ] || [ -s "$1/$path" ] || { echo "$entry: no $path"; return 1; }
    done
    path=$(grep -oE ' ostree=[^ ]+' "$entry")
    [ -x "$1/${path#*=}/usr/sbin/init" ] || { echo "$entry: $path leads nowhere"; return 1; }
  done
  [ "$(wc -l <listed)" -gt 0 ]
}

default_version() {
  local version commit
  commit=$(default_commit)
  for version in "${!commits[@]}"; do
    [ "${commits[$version]}" != "$commit" ] || echo "$version"
  done
}

# The version after `last` is committed and served.
new_version() {
  last=$((last + 1))
  edit $last
  commits[$last]=$(commit_version $last)
  trefoil --repo=repo summary -u
}

milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# a_moment MS: sleeps a random part of the time, and a little more: some kills come too late.
a_moment() {
  local ms=$(((RANDOM * 32768 + RANDOM) % ($1 * 9 / 8 + 1)))
  moment=$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))
  sleep "$moment"
}

# judge WHAT: whether the image has the old version `at` or the new one `last`, whole.
judge() {
  inspect
  found=$(default_version)
  case "$found" in
    "$at") old=$((old + 1)) ;;
    "$last") new=$((new + 1)) ;;
    *) fail "$1: version ${found:-unknown} is the default, neither $at nor $last" ;;
  esac
  say "$1 $n of $kills after $moment s: version $found (from $at to $last)"
}

tally() {
  say "$1: seed $seed, $kills kills: $old times the old version, $new the new; $late came after the end; all booted and could be updated"
  # One that always comes too late shows nothing.
  [ "$late" -lt "$kills" ] || fail "$1: every kill came too late"
}

# The machine upgrades itself to `last` to the end; how long that took is in `upgrading`.
upgrade_inside() {
  direct "vmtest.upgrade=$port"; start
  wait_for serial.log STATUS-END
  local began
  began=$(milliseconds)
  wait_for serial.log UPGRADE-DONE
  upgrading=$(($(milliseconds) - began))
  wait "$machine_pid" || fail "QEMU ended with status $?"
  machine_pid=
  check "$@"
  [ "$(default_version)" = "$last" ] || fail "the upgrade inside did not make $last the default"
  at=$last
}

# QEMU is killed, and with it all that it had not written.
kill_machines() {
  local n old=0 new=0 late=0 moment
  network=("${wired[@]}")
  for n in $(seq "$kills"); do
    new_version
    direct "vmtest.upgrade=$port"; start
    wait_for serial.log STATUS-END
    a_moment "$upgrading"
    if grep -qa UPGRADE-DONE serial.log; then late=$((late + 1)); fi
    pull_plug
    judge "machine killed"
    upgrade_inside "$found" "$kept"
  done
  inspect
  network=()
  tally "machine killed"
}

# `image update` is killed.
kill_updates() {
  local n old=0 new=0 late=0 moment began updating=400 pid
  for n in $(seq "$kills"); do
    new_version
    "$binary" --repo=repo image update "$image" "${commits[$last]}" >killed.log 2>&1 &
    pid=$!
    a_moment "$updating"
    kill -KILL $pid 2>/dev/null || late=$((late + 1))
    wait $pid 2>/dev/null || true
    judge "update killed"
    direct; boot "$found" "$kept"
    began=$(milliseconds)
    trefoil --repo=repo image update "$image" "${commits[$last]}" >next.log 2>&1 ||
      { cat next.log; fail "the update after the kill failed"; }
    updating=$(($(milliseconds) - began))
    [ "$(default_version)" = "$last" ] || fail "the update after the kill did not make $last the default"
    at=$last
  done
  inspect
  tally "update killed"
}
