//! What a process says, on both of its outputs.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The lines a process has said so far.
#[derive(Debug)]
pub(super) struct Log {
    text: watch::Receiver<String>,
    readers: [JoinHandle<()>; 2],
}

impl Log {
    /// Reads what `child` says until it has said all.
    pub(super) fn of(child: &mut Child) -> Self {
        let (sender, text) = watch::channel(String::new());
        let out = child.stdout.take().expect("standard output is piped");
        let err = child.stderr.take().expect("standard error is piped");
        Self { text, readers: [tokio::spawn(read(out, sender.clone())), tokio::spawn(read(err, sender))] }
    }

    /// All it has said so far.
    pub(super) fn text(&self) -> String {
        self.text.borrow().clone()
    }

    /// All it has said, once it has ended.
    pub(super) async fn whole(self) -> String {
        for reader in self.readers {
            reader.await.expect("reading lines does not fail");
        }
        self.text.borrow().clone()
    }

    /// The first line that contains `text`, as soon as it is there; never, if the
    /// process ends without it.
    pub(super) async fn line_with(&self, text: &str) -> String {
        let mut said = self.text.clone();
        let found = said.wait_for(|said| said.contains(text)).await.is_ok();
        if !found {
            std::future::pending::<()>().await;
        }
        self.text().lines().find(|line| line.contains(text)).unwrap_or_default().to_owned()
    }
}

async fn read(output: impl AsyncRead + Unpin, log: watch::Sender<String>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        log.send_modify(|text| {
            text.push_str(&line);
            text.push('\n');
        });
    }
}
