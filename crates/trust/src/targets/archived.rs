use std::io::{self, Read};

use trefoil_format::checksum::Checksum;
use trefoil_format::object::{LoosePath, ObjectName, ObjectType};
use trefoil_repo::fuzzing::receive;

use super::Target;
use super::place::{Place, in_places};

pub const TARGET: Target = Target {
    name: "archived",
    formats: "file objects of an archive (`.filez`): as they lie there, as they come from a remote",
    run,
};

/// Most content that is looked at: deflate makes a thousand times its length.
const CONTENT_LIMIT: u64 = 8 << 20;

fn run(bytes: &[u8]) {
    in_places(|archive, bare| {
        let wrong = Checksum::of(b"not it");
        let actual = stored(archive, bytes);
        for place in [archive, bare] {
            let txn = place.repo.begin().expect("a transaction");
            assert!(receive(&txn, wrong, bytes).is_err(), "stored under a wrong name");
            if let Some(actual) = actual
                && receive(&txn, actual, bytes).is_ok()
            {
                let name = ObjectName::new(actual, ObjectType::File);
                assert!(txn.has_object(&name).expect("a look"));
            }
        }
    });
}

/// The checksum of the object that lies in the archive, where it can be read to its end.
fn stored(archive: &Place, bytes: &[u8]) -> Option<Checksum> {
    let name = ObjectName::new(Checksum::of(b"fuzz"), ObjectType::File);
    let path = LoosePath::new(&name, true);
    archive.put(&format!("objects/{}", &*path), bytes);
    let object = archive.repo.load_file(&name.checksum).ok()?;
    let size = object.size;
    let mut hasher = object.header.hasher();
    let mut content = object.content.take(CONTENT_LIMIT);
    let mut buffer = [0; 4096];
    let mut len = 0;
    loop {
        match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(&buffer[..n]);
                len += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    (len == size).then(|| hasher.finish())
}
