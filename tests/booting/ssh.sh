# Part of tests/boot: `dev --ssh` with OpenSSH on both sides, to a machine that reboots.

# What the machine needs to be reached: Debian's sshd, an account and keys.
ssh_tree() {
  local sshd=/usr/sbin/sshd library
  cp "$sshd" tree/usr/sbin/
  for library in $(libraries "$sshd"); do install -D "$library" "tree/usr/lib/${library#*/lib/}"; done
  printf 'root:x:0:0:root:/:/usr/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/bin/sh\n' >tree/usr/etc/passwd
  printf 'root:x:0:\nnogroup:x:65534:\n' >tree/usr/etc/group
  ssh-keygen -q -t ed25519 -N '' -f user-key
  ssh-keygen -q -t ed25519 -N '' -f tree/usr/lib/vmtest/host-key
  cp user-key.pub tree/usr/lib/vmtest/authorized-keys
  cat >tree/usr/lib/vmtest/sshd_config <<'CONFIG'
HostKey /usr/lib/vmtest/host-key
AuthorizedKeysFile /usr/lib/vmtest/authorized-keys
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile none
CONFIG
}

# The client that `dev` finds, with settings that are not the user's.
ssh_client() {
  ssh_port=$((20000 + $$ % 20000))
  while (: <"/dev/tcp/127.0.0.1/$ssh_port") 2>/dev/null; do ssh_port=$((ssh_port + 1)); done
  cat >ssh_config <<CONFIG
Host vm
HostName 127.0.0.1
Port $ssh_port
User root
IdentityFile $work/user-key
IdentitiesOnly yes
UserKnownHostsFile $work/known-hosts
StrictHostKeyChecking accept-new
CONFIG
  mkdir -p tools
  printf '#!/bin/sh\nexec /usr/bin/ssh -F %s/ssh_config "$@"\n' "$work" >tools/ssh
  chmod 755 tools/ssh
}

# An edit is deployed over ssh; the machine reboots, is asked until it answers, and says that it
# runs the edit. `at` is the version it is at.
ssh_rounds() {
  ssh_client
  network=(-netdev "user,id=net,hostfwd=tcp:127.0.0.1:$ssh_port-:22" -device virtio-net-pci,netdev=net,romfile=)
  direct vmtest.ssh=yes; start
  wait_for serial.log SSH-READY
  check "$at" "$kept"
  rounds=ssh-rounds.json
  PATH=$work/tools:$PATH "$binary" --repo=repo dev tree --ref=vm/tiny --owner-uid=0 --owner-gid=0 \
    --listen=127.0.0.1:0 --json --ssh=vm --apply=reboot >$rounds 2>ssh.log &
  loop=$!
  wait_for ssh.log 'up to date at'
  at=$((at + 1))
  edit $at
  wait "$machine_pid" || fail "QEMU ended with status $?"
  direct vmtest.ssh=yes; start
  round 1 booted
  commits[$at]=$(trefoil --repo=repo rev-parse vm/tiny)
  check "$at" "$kept"
  pull_plug
  kill $loop; wait $loop || fail "dev ended with status $?"
  loop=
  ! grep -q 'the upgrade ended with' ssh.log || { cat ssh.log; fail "a reboot was taken for a failure"; }
  tail -1 ssh.log | grep -q 'ended after 1 round' || { cat ssh.log; fail "dev --ssh ended otherwise"; }
  network=()
  say "upgraded and rebooted over ssh"
}
