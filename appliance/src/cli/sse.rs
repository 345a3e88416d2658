//! Reading server-sent events (HTML standard, section 9.2.6), as far as the API uses them.

/// One event of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: Option<String>,
    pub(super) event: String,
    pub(super) data: String,
}

/// Puts the parts of a stream together.
#[derive(Debug, Default)]
pub(super) struct Parser {
    rest: Vec<u8>,
    message: Message,
}

impl Parser {
    /// The messages that end in these bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Message> {
        self.rest.extend_from_slice(bytes);
        let mut done = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if let Some(message) = self.line(line.trim_end_matches(['\r', '\n'])) {
                done.push(message);
            }
        }
        done
    }

    fn line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            return (!message.data.is_empty()).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.message.id = Some(value.to_owned()),
            "event" => self.message.event = value.to_owned(),
            "data" => {
                if !self.message.data.is_empty() {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            // Comments (no field name) keep the connection alive.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let stream =
            ": keep\n\nid: 5-1\nevent: drop\ndata: {\"a\":1}\n\ndata: x\r\ndata: y\r\n\r\n";
        let whole = Parser::default().feed(stream.as_bytes());
        let mut parser = Parser::default();
        let bytes: Vec<_> = stream.bytes().flat_map(|byte| parser.feed(&[byte])).collect();
        assert_eq!(whole, bytes);
        assert_eq!(whole.len(), 2);
        assert_eq!(
            whole[0],
            Message { id: Some("5-1".into()), event: "drop".into(), data: "{\"a\":1}".into() }
        );
        assert_eq!(whole[1].data, "x\ny");
    }
}
