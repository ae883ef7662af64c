//! What the virtual machines do.

use super::super::lab::{Program, STATEROOT};
use super::super::log::{Entry, Log, SECTOR};
use super::super::scenario::Scenario;
use super::guest::MARK;
use crate::Result;

/// The verbs that are run, in this order.
pub const SCENARIOS: [Scenario; 2] = [Scenario::DeployFull, Scenario::Kargs];
/// What the recorded machine does.
const RECORD: &str = r#"
fail() { echo "FAILED: $*"; sync; poweroff -f; sleep 9; }
attach vda || fail attach
program admin deploy --os=STATEROOT os/b || fail first
sync; mark 0
VERB0 || fail VERB0
mark 1
# ext4 commits every five seconds what was not synced, FAT waits for thirty.
sleep 7; sync; mark 2
VERB1 || fail VERB1
mark 3; sync; mark 4
detach
REFUSED
echo RECORDED
"#;

/// What it does last: it mounts FAT as its `/boot`, and nothing may be written there.
const REFUSED: &str = r#"
attach vda || fail again
mount -o bind /s/boot/efi /s/boot
before=$(find /s/boot | sort | md5sum)
for more in --dry-run ''; do
  program admin deploy --os=STATEROOT $more os/a >/said 2>&1 && fail 'deployed to a /boot on FAT'
  grep -q '/boot cannot currently be a vfat filesystem' /said || { cat /said; fail 'other words'; }
  grep -q 'hint: mount the EFI system' /said || { cat /said; fail hint; }
done
[ "$before" = "$(find /s/boot | sort | md5sum)" ] || fail 'something was written'
umount /s/boot
detach
"#;

/// What a machine does that was switched on again, with each disk. As a distribution does it has
/// FAT repaired first: its driver makes no more changes to one that it finds damaged.
pub const AGAIN: &str = r#"
again() {
  disk=$1; shift
  /usr/sbin/fsck.fat -a /dev/${disk}1 >/said 2>&1; [ $? -lt 2 ] || echo "fsck.fat failed" >>/said
  if attach $disk && "$@" >>/said 2>&1; then echo "NEXT $disk done"; else
    echo "NEXT $disk failed:"; cat /said
  fi
  detach
}
"#;

/// What the recorded machine does, for a program.
pub fn record_script(program: Program) -> String {
    let mut script = RECORD.to_string();
    for (at, scenario) in SCENARIOS.iter().enumerate() {
        script = script.replace(&format!("VERB{at}"), &verb(program, *scenario));
    }
    let refused = match program {
        Program::Trefoil => REFUSED,
        // This version does not know better.
        Program::Ostree => "",
    };
    script.replace("REFUSED", refused)
}

/// The words of a verb, for a machine.
pub fn verb(program: Program, scenario: Scenario) -> String {
    match scenario {
        Scenario::Kargs => "program admin instutil set-kargs --merge --replace=rig=1".into(),
        _ => {
            let full = match program {
                Program::Trefoil => " --no-recycle",
                Program::Ostree => "",
            };
            format!("program admin deploy --os={STATEROOT}{full} os/c")
        }
    }
}

/// How many entries there were at each mark.
pub fn marks(log: &Log) -> Result<Vec<usize>> {
    let mut found = Vec::new();
    for (at, entry) in log.entries.iter().enumerate() {
        if let Entry::Write(write) = entry
            && write.at <= MARK
            && write.at + write.len > MARK
        {
            let bytes = log.read_part(write, MARK - write.at, SECTOR)?;
            let word = format!("trefoil-mark {}\n", found.len());
            if bytes.starts_with(word.as_bytes()) {
                found.push(at);
            }
        }
    }
    Ok(found)
}
