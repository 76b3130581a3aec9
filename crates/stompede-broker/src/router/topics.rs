//! Who listens to which topics, patterns included.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::SubscriberId;
use super::destination::TOPIC;

/// Topics are words with dots between them. In a pattern `*` stands for one word and `#` for any number, none included.
#[derive(Debug)]
pub(super) struct Topics {
    exact: HashMap<Arc<str>, BTreeSet<SubscriberId>>,
    /// The tree of the patterns: one step for each word. The root is 0.
    nodes: Vec<Node>,
    free: Vec<usize>,
    patterns: HashMap<Arc<str>, Pattern>,
}

/// A pattern as it was written. Others may mean the same: `#.#` is `#`.
#[derive(Debug)]
struct Pattern {
    at: usize,
    listeners: usize,
}

#[derive(Debug, Default)]
struct Node {
    parent: usize,
    /// The word that led here.
    word: Box<str>,
    steps: HashMap<Box<str>, usize>,
    listeners: BTreeSet<SubscriberId>,
}

impl Topics {
    pub(super) fn new() -> Self {
        let (exact, patterns) = (HashMap::new(), HashMap::new());
        Self { exact, nodes: vec![Node::default()], free: Vec::new(), patterns }
    }

    pub(super) fn join(&mut self, topic: &Arc<str>, id: SubscriberId) {
        if !is_pattern(topic) {
            self.exact.entry(topic.clone()).or_default().insert(id);
            return;
        }
        let mut at = 0;
        for word in steps(topic) {
            at = match self.nodes[at].steps.get(word) {
                Some(next) => *next,
                None => self.grow(at, word),
            };
        }
        self.patterns.entry(topic.clone()).or_insert(Pattern { at, listeners: 0 }).listeners += 1;
        self.nodes[at].listeners.insert(id);
    }

    pub(super) fn leave(&mut self, topic: &Arc<str>, id: SubscriberId) {
        if let Some(listeners) = self.exact.get_mut(topic) {
            listeners.remove(&id);
            if listeners.is_empty() {
                self.exact.remove(topic);
            }
        }
        if let Some(Pattern { at, listeners }) = self.patterns.get_mut(topic) {
            let at = *at;
            *listeners -= usize::from(self.nodes[at].listeners.remove(&id));
            if *listeners == 0 {
                self.patterns.remove(topic);
                self.prune(at);
            }
        }
    }

    /// Adds whoever listens to this topic to `found`, each once.
    pub(super) fn find(&self, topic: &str, found: &mut Vec<SubscriberId>) {
        found.extend(self.exact.get(topic).into_iter().flatten());
        if self.patterns.is_empty() {
            return;
        }
        // All places in the tree where the words so far may have led, each once: no pattern makes it take longer than
        // the number of its nodes for each word.
        let mut here = Vec::new();
        self.arrive(0, &mut here);
        let mut next = Vec::new();
        for word in words(topic) {
            for &at in &here {
                let node = &self.nodes[at];
                if &*node.word == "#" && at != 0 {
                    self.arrive(at, &mut next);
                }
                let literal = if is_wild(word) { None } else { node.steps.get(word) };
                for step in literal.into_iter().chain(node.steps.get("*")) {
                    self.arrive(*step, &mut next);
                }
            }
            next.sort_unstable();
            next.dedup();
            here.clear();
            std::mem::swap(&mut here, &mut next);
        }
        found.extend(here.iter().flat_map(|at| &self.nodes[*at].listeners));
    }

    /// How many listen to a topic or pattern of this very text.
    pub(super) fn count(&self, topic: &str) -> usize {
        let exact = self.exact.get(topic).map(BTreeSet::len);
        exact.or_else(|| self.patterns.get(topic).map(|pattern| pattern.listeners)).unwrap_or(0)
    }

    /// How many topics there are listeners for, and words in patterns: those that several begin with count once. It is
    /// the words that cost memory, and time with each message.
    pub(super) fn len(&self) -> usize {
        self.exact.len() + self.nodes.len() - 1 - self.free.len()
    }

    /// How many more it would be with this one.
    pub(super) fn growth(&self, topic: &str) -> usize {
        if !is_pattern(topic) {
            return usize::from(!self.exact.contains_key(topic));
        }
        let mut at = Some(0);
        let is_new = |word| {
            at = at.and_then(|at: usize| self.nodes[at].steps.get(word).copied());
            at.is_none()
        };
        steps(topic).map(is_new).filter(|is_new| *is_new).count()
    }

    /// At this place, and behind a `#` that stands for no word. No other `#` follows it.
    fn arrive(&self, at: usize, places: &mut Vec<usize>) {
        places.push(at);
        places.extend(self.nodes[at].steps.get("#"));
    }

    fn grow(&mut self, parent: usize, word: &str) -> usize {
        let node = Node { parent, word: word.into(), ..Node::default() };
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at] = node;
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        self.nodes[parent].steps.insert(word.into(), at);
        at
    }

    /// Removes a node that leads nowhere, and those before it that then do not either.
    fn prune(&mut self, mut at: usize) {
        while at != 0 && self.nodes[at].listeners.is_empty() && self.nodes[at].steps.is_empty() {
            let Node { parent, word, .. } = std::mem::take(&mut self.nodes[at]);
            self.nodes[parent].steps.remove(&word);
            self.free.push(at);
            at = parent;
        }
    }
}

fn is_pattern(topic: &str) -> bool {
    topic.contains(['*', '#']) && words(topic).any(is_wild)
}

/// The words of a pattern; several `#` in a row are one.
fn steps(pattern: &str) -> impl Iterator<Item = &str> {
    let mut before = "";
    words(pattern).filter(move |word| std::mem::replace(&mut before, word) != "#" || *word != "#")
}

fn words(topic: &str) -> impl Iterator<Item = &str> {
    topic.strip_prefix(TOPIC).unwrap_or(topic).split('.')
}

fn is_wild(word: &str) -> bool {
    matches!(word, "*" | "#")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The obvious reading, to compare with.
    fn fits(pattern: &[&str], words: &[&str]) -> bool {
        match (pattern, words) {
            ([], []) => true,
            (["#", rest @ ..], _) => fits(rest, words) || !words.is_empty() && fits(pattern, &words[1..]),
            (["*", rest @ ..], [_, words @ ..]) => fits(rest, words),
            ([literal, rest @ ..], [word, words @ ..]) if literal == word => fits(rest, words),
            _ => false,
        }
    }

    fn all(alphabet: &[&str], up_to: u32) -> Vec<String> {
        let n = alphabet.len();
        let texts = (1..=up_to).flat_map(|len| (0..n.pow(len)).map(move |number| (len, number)));
        let text = |(len, number): (u32, usize)| {
            let words: Vec<_> = (0..len).map(|at| alphabet[number / n.pow(at) % n]).collect();
            words.join(".")
        };
        texts.map(text).collect()
    }

    #[test]
    fn patterns_find_what_the_obvious_reading_finds() {
        let patterns = all(&["a", "b", "*", "#"], 4);
        let mut topics = Topics::new();
        for (number, pattern) in patterns.iter().enumerate() {
            topics.join(&format!("/topic/{pattern}").into(), SubscriberId(number as u64));
        }
        for topic in all(&["a", "b", "c", "", "*"], 4) {
            let words: Vec<_> = topic.split('.').collect();
            let expected: Vec<_> = (0..patterns.len())
                .filter(|at| {
                    let pattern: Vec<_> = patterns[*at].split('.').collect();
                    // A topic that is sent to is never a pattern, whatever it looks like.
                    fits(&pattern, &words)
                })
                .map(|at| SubscriberId(at as u64))
                .collect();
            let mut found = Vec::new();
            topics.find(&format!("/topic/{topic}"), &mut found);
            found.sort_by_key(|id| id.0);
            assert_eq!(found, expected, "{topic}");
        }
        for (number, pattern) in patterns.iter().enumerate() {
            topics.leave(&format!("/topic/{pattern}").into(), SubscriberId(number as u64));
        }
        assert_eq!((topics.len(), topics.nodes.len() - 1), (0, topics.free.len()), "nothing is left behind");
    }

    #[test]
    fn a_hostile_pattern_is_walked_in_no_time() {
        let mut topics = Topics::new();
        let pattern = format!("/topic/{}x", "#.*.".repeat(250));
        topics.join(&pattern.as_str().into(), SubscriberId(1));
        let mut found = Vec::new();
        // Backtracking would not be done before the sun is.
        topics.find(&format!("/topic/{}", "a.".repeat(500)), &mut found);
        assert!(found.is_empty());
    }
}
