use super::{
    Direction, ESP, Ends, Limits, Mark, Mode, Offload, Selector, Usage,
    attributes::{read_mark, write_mark},
    constants::{
        MAX_TEMPLATES, USER_TMPL, USERPOLICY_INFO, XFRMA_IF_ID, XFRMA_LASTUSED, XFRMA_MARK,
        XFRMA_OFFLOAD_DEV, XFRMA_TMPL,
    },
    ends::{Family, read_address, write_address},
    wire::{Malformed, Read, Reader, Writer},
};

/// Where a policy applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyDirection {
    /// Packets for this host.
    In = 0,
    /// Packets that leave.
    Out = 1,
    /// Packets that pass through.
    Forward = 2,
}

impl PolicyDirection {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::In, Self::Out, Self::Forward];

    /// Policies of sockets, which the kernel lists too, have numbers beyond.
    pub(super) fn read(number: u8) -> Read<Self> {
        Self::ALL
            .into_iter()
            .find(|direction| *direction as u8 == number)
            .ok_or(Malformed::Value("the policy's direction"))
    }

    fn of_state(self) -> Direction {
        if self == Self::Out { Direction::Out } else { Direction::In }
    }
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It passes: through the templates where there are some, else as it is.
    Allow = 0,
    /// It is dropped.
    Block = 1,
}

/// Which policy: how the kernel looks it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId {
    /// Which packets.
    pub selector: Selector,
    /// Where.
    pub direction: PolicyDirection,
    /// The xfrm interface.
    pub if_id: Option<u32>,
    /// The mark.
    pub mark: Option<Mark>,
}

impl PolicyId {
    /// `struct xfrm_userpolicy_id` and its attributes.
    pub(super) fn write(&self, writer: &mut Writer) {
        self.selector.write(writer);
        writer.u32(0);
        writer.bytes(&[self.direction as u8, 0, 0, 0]);
        write_mark(writer, self.mark);
        writer.attribute_u32(XFRMA_IF_ID, self.if_id);
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let selector = Selector::read(&mut reader)?;
        reader.skip(4)?;
        let direction = PolicyDirection::read(reader.u8()?)?;
        reader.skip(3)?;
        let mut id = Self { selector, direction, if_id: None, mark: None };
        for (kind, mut value) in reader.attributes()? {
            match kind {
                XFRMA_MARK => id.mark = read_mark(value)?,
                XFRMA_IF_ID => id.if_id = Some(value.u32()?),
                _ => {}
            }
        }
        Ok(id)
    }
}

/// How often a policy was used, when it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyUse {
    /// Counters; of a policy the kernel counts none and tells the times.
    pub usage: Usage,
    /// The kernel's number of the policy.
    pub index: u32,
    /// When it was used last, seconds since 1970.
    pub last_used: Option<u64>,
}

/// What happens to which packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which packets.
    pub selector: Selector,
    /// Where.
    pub direction: PolicyDirection,
    /// The smallest number decides.
    pub priority: u32,
    /// What happens.
    pub action: Action,
    /// `XFRM_POLICY_*` flags.
    pub flags: u8,
    /// When it is told of and ends.
    pub limits: Limits,
    /// How often it was used.
    pub used: PolicyUse,
    /// Which states a packet must go through.
    pub templates: Templates,
    /// The mark of the packets.
    pub mark: Option<Mark>,
    /// The xfrm interface.
    pub if_id: Option<u32>,
    /// The card: asked for in a request, actual when it is read. Its kind is always packet.
    pub offload: Option<Offload>,
}

impl Policy {
    /// A policy without templates, at the lowest priority.
    pub fn new(selector: Selector, direction: PolicyDirection, action: Action) -> Self {
        Self {
            selector,
            direction,
            priority: u32::MAX,
            action,
            flags: 0,
            limits: Limits::default(),
            used: PolicyUse::default(),
            templates: Templates::default(),
            mark: None,
            if_id: None,
            offload: None,
        }
    }

    /// How the kernel looks it up.
    pub fn id(&self) -> PolicyId {
        let Self { selector, direction, if_id, mark, .. } = *self;
        PolicyId { selector, direction, if_id, mark }
    }

    /// `struct xfrm_userpolicy_info`.
    pub(super) fn write_info(&self, writer: &mut Writer) {
        let start = writer.len();
        self.selector.write(writer);
        self.limits.write(writer);
        self.used.usage.write(writer);
        writer.u32(self.priority);
        writer.u32(self.used.index);
        writer.bytes(&[self.direction as u8, self.action as u8, self.flags, 0]);
        writer.pad_to(start + USERPOLICY_INFO);
    }

    pub(super) fn write_attributes(&self, writer: &mut Writer) {
        self.templates.write(writer);
        write_mark(writer, self.mark);
        writer.attribute_u32(XFRMA_IF_ID, self.if_id);
        if let Some(offload) = self.offload {
            // The flag for inbound states is none of a policy.
            let offload = Offload { direction: Direction::Out, ..offload };
            writer.attribute(XFRMA_OFFLOAD_DEV, |writer| offload.write(writer));
        }
        if let Some(seconds) = self.used.last_used {
            writer.attribute(XFRMA_LASTUSED, |writer| writer.u64(seconds));
        }
    }

    pub(super) fn read_info(reader: &mut Reader<'_>) -> Read<Self> {
        let mut reader = reader.part(USERPOLICY_INFO, "the policy")?;
        let selector = Selector::read(&mut reader)?;
        let (limits, usage) = (Limits::read(&mut reader)?, Usage::read(&mut reader)?);
        let (priority, index) = (reader.u32()?, reader.u32()?);
        let direction = PolicyDirection::read(reader.u8()?)?;
        let action = match reader.u8()? {
            0 => Action::Allow,
            1 => Action::Block,
            _ => return Err(Malformed::Value("the policy's action")),
        };
        let flags = reader.u8()?;
        let used = PolicyUse { usage, index, last_used: None };
        Ok(Self { priority, flags, limits, used, ..Self::new(selector, direction, action) })
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let policy = Self::read_info(&mut reader)?;
        policy.with_attributes(reader)
    }

    pub(super) fn with_attributes(mut self, reader: Reader<'_>) -> Read<Self> {
        for (kind, mut value) in reader.attributes()? {
            match kind {
                XFRMA_TMPL => self.templates = Templates::read(value)?,
                XFRMA_MARK => self.mark = read_mark(value)?,
                XFRMA_IF_ID => self.if_id = Some(value.u32()?),
                XFRMA_OFFLOAD_DEV => {
                    let direction = self.direction.of_state();
                    self.offload = Some(Offload { direction, ..Offload::read(value)? });
                }
                XFRMA_LASTUSED => self.used.last_used = Some(value.u64()?),
                _ => {}
            }
        }
        Ok(self)
    }
}

/// Which states a packet goes through: `struct xfrm_user_tmpl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// The outer addresses; unspecified ones are any.
    pub ends: Ends,
    /// The security parameter index; 0 is any.
    pub spi: u32,
    /// Protocol, mostly [`ESP`].
    pub protocol: u8,
    /// The states' request id; 0 is any.
    pub request_id: u32,
    /// What is encrypted.
    pub mode: Mode,
    /// Whether a packet may come without.
    pub optional: bool,
}

impl Template {
    /// ESP in tunnel mode, by states with this request id.
    pub fn tunnel(ends: Ends, request_id: u32) -> Self {
        Self { ends, spi: 0, protocol: ESP, request_id, mode: Mode::Tunnel, optional: false }
    }

    fn write(&self, writer: &mut Writer) {
        /// Any algorithm: the states say which.
        const ANY: u32 = u32::MAX;
        write_address(writer, self.ends.destination());
        writer.be32(self.spi);
        writer.bytes(&[self.protocol, 0, 0, 0]);
        writer.u16(self.ends.family() as u16);
        writer.u16(0);
        write_address(writer, self.ends.source());
        writer.u32(self.request_id);
        writer.bytes(&[self.mode as u8, 0, self.optional.into(), 0]);
        for algorithms in [ANY; 3] {
            writer.u32(algorithms);
        }
    }

    fn read(mut reader: Reader<'_>) -> Read<Self> {
        let destination = read_address(&mut reader)?;
        let (spi, protocol) = (reader.be32()?, reader.u8()?);
        reader.skip(3)?;
        let family = Family::read(reader.u16()?)?;
        reader.skip(2)?;
        let ends = Ends::of(family, read_address(&mut reader)?, destination);
        let (request_id, mode) = (reader.u32()?, Mode::read(reader.u8()?)?);
        reader.skip(1)?;
        Ok(Self { ends, spi, protocol, request_id, mode, optional: reader.u8()? != 0 })
    }
}

/// Templates, the innermost first; at most six.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates(Vec<Template>);

/// More templates than a policy can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} templates: a policy has at most {MAX_TEMPLATES}")]
pub struct TooManyTemplates(pub usize);

impl Templates {
    /// These templates.
    ///
    /// # Errors
    /// When there are more than six.
    pub fn new(templates: Vec<Template>) -> Result<Self, TooManyTemplates> {
        if templates.len() > MAX_TEMPLATES {
            return Err(TooManyTemplates(templates.len()));
        }
        Ok(Self(templates))
    }

    /// One.
    pub fn one(template: Template) -> Self {
        Self(vec![template])
    }

    /// The templates.
    pub fn as_slice(&self) -> &[Template] {
        &self.0
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        if !self.0.is_empty() {
            writer.attribute(XFRMA_TMPL, |writer| {
                for template in &self.0 {
                    template.write(writer);
                }
            });
        }
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let mut templates = Vec::new();
        while !reader.rest().is_empty() {
            templates.push(Template::read(reader.part(USER_TMPL, "a template")?)?);
        }
        Self::new(templates).map_err(|_| Malformed::Length("the templates"))
    }
}
