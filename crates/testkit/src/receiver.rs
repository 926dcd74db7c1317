//! A webhook receiver that keeps its own record and can be made to fail.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::client;
use crate::server::{Request, Server, Then, answer};
use crate::wait::{self, pause};

/// A running receiver.
pub struct Receiver {
    server: Option<Server>,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    received: Vec<Request>,
    mood: Mood,
    confirms: bool,
}

/// How a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// With this status.
    Answers(u16),
    /// After this many milliseconds, with 200.
    Slow(u64),
    /// Not at all: it resets.
    Resets,
}

impl Receiver {
    /// Starts on a free port; answers 200 and confirms SNS subscriptions.
    ///
    /// # Panics
    /// If there is none.
    pub fn start() -> Self {
        let state = State { received: Vec::new(), mood: Mood::Answers(200), confirms: true };
        let state = Arc::new(Mutex::new(state));
        let mut receiver = Self { server: None, address: SocketAddr::from(([127, 0, 0, 1], 0)), state };
        receiver.come_back();
        receiver
    }

    /// Listens again, on the same port, after [`Receiver::go_away`].
    ///
    /// # Panics
    /// If the port was taken in between.
    pub fn come_back(&mut self) {
        let state = self.state.clone();
        let server = Server::start(self.address, move |request, stream| receive(&state, request, stream));
        let server = server.expect("the receiver's port");
        self.address = server.address();
        self.server = Some(server);
    }

    /// Stops listening: connections are refused.
    pub fn go_away(&mut self) {
        self.server = None;
    }

    /// Its URL with a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Changes how it answers.
    pub fn set(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// Whether it visits the SubscribeURL of a confirmation.
    pub fn set_confirms(&self, confirms: bool) {
        self.state().confirms = confirms;
    }

    /// All that it got, confirmations too, failed ones too.
    pub fn received(&self) -> Vec<Request> {
        self.state().received.clone()
    }

    /// Messages: all but SNS's confirmations.
    pub fn messages(&self) -> Vec<Request> {
        let is_message = |request: &Request| {
            request.header("x-amz-sns-message-type").is_none_or(|kind| kind == "Notification")
        };
        self.received().into_iter().filter(is_message).collect()
    }

    /// The ids of the events of its messages, each once, in the order in which they came first.
    ///
    /// # Panics
    /// If a message names no event.
    pub fn events(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for message in self.messages() {
            let id = message.header("x-retrohook-event-id").expect("an id").to_owned();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// Waits until it got `count` messages.
    ///
    /// # Panics
    /// If it does not soon.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Request> {
        wait::until(&format!("{count} messages at the receiver"), || {
            let messages = self.messages();
            (messages.len() >= count).then_some(messages)
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn receive(state: &Mutex<State>, request: &Request, stream: &mut TcpStream) -> io::Result<Then> {
    let (mood, confirms) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.received.push(request.clone());
        (state.mood, state.confirms)
    };
    match mood {
        Mood::Answers(status) => answer(stream, status, &[], b"")?,
        Mood::Slow(millis) => {
            pause(Duration::from_millis(millis));
            answer(stream, 200, &[], b"")?;
        }
        Mood::Resets => return Ok(Then::Reset),
    }
    if confirms && request.header("x-amz-sns-message-type") == Some("SubscriptionConfirmation") {
        let url = request.json()["SubscribeURL"].as_str().unwrap_or_default().to_owned();
        // A gateway that is gone again asks again.
        let _ = client::get(&url);
    }
    Ok(Then::KeepOpen)
}
