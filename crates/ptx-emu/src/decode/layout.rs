//! The order in which instructions stand: every block of code behind all from which it is reached
//! other than by a loop's back edge, and the blocks of a loop together.
//!
//! The interpreter runs the lanes at the lowest instruction first, so this order decides where
//! lanes meet again. The text's own order does not do: compilers put blocks where they please.

/// Order of the nodes `0..successors.len()` of a flow graph, from node 0. Nodes that cannot be
/// reached are left out.
pub(crate) fn order(successors: &[Vec<usize>]) -> Vec<usize> {
    let mut result = Vec::with_capacity(successors.len());
    // Parts still to be ordered: nodes and where the part is entered. The last is the next.
    let mut parts = vec![((0..successors.len()).collect::<Vec<_>>(), 0)];
    let mut member = vec![usize::MAX; successors.len()];
    let mut number = 0;
    while let Some((nodes, entry)) = parts.pop() {
        if nodes.len() == 1 {
            result.push(nodes[0]);
            continue;
        }
        number += 1;
        for node in &nodes {
            member[*node] = number;
        }
        // Without the edges back to where it is entered, a loop falls apart into what it is made of.
        let within = |node: usize| {
            let inside = successors[node].iter().copied();
            let inside = inside.filter(|next| member[*next] == number && *next != entry);
            inside.collect::<Vec<_>>()
        };
        let components = components(&within, entry, successors.len());
        // Tarjan's algorithm ends with the component of the entry; taken from the end, each
        // component follows those that lead to it.
        let mut pending = Vec::with_capacity(components.len());
        let mut placed = vec![entry];
        for component in components.into_iter().rev() {
            let head = head(&component, &placed, successors);
            placed.extend(&component);
            pending.push((component, head));
        }
        parts.extend(pending.into_iter().rev());
    }
    result
}

/// Where a component is entered: its first node that an earlier one leads to.
fn head(component: &[usize], placed: &[usize], successors: &[Vec<usize>]) -> usize {
    if component.len() == 1 {
        return component[0];
    }
    let inside: std::collections::HashSet<_> = component.iter().copied().collect();
    let entries = placed.iter().flat_map(|node| successors[*node].iter());
    let entries = entries.copied().filter(|next| inside.contains(next));
    entries.min().unwrap_or(component[0])
}

/// Strongly connected components that can be reached from `entry`, each before all that lead to it
/// (Tarjan 1972), without recursion.
fn components(
    successors: &impl Fn(usize) -> Vec<usize>,
    entry: usize,
    nodes: usize,
) -> Vec<Vec<usize>> {
    let mut index = vec![usize::MAX; nodes];
    let mut low = vec![usize::MAX; nodes];
    let mut on_stack = vec![false; nodes];
    let mut stack = Vec::new();
    let mut found = Vec::new();
    let mut count = 0;
    // Nodes being visited, with their successors and how many of these were looked at.
    let mut path = vec![(entry, successors(entry), 0)];
    while let Some((node, next, seen)) = path.last_mut() {
        let node = *node;
        if *seen == 0 && index[node] == usize::MAX {
            index[node] = count;
            low[node] = count;
            count += 1;
            stack.push(node);
            on_stack[node] = true;
        }
        if let Some(to) = next.get(*seen).copied() {
            *seen += 1;
            if index[to] == usize::MAX {
                path.push((to, successors(to), 0));
            } else if on_stack[to] {
                low[node] = low[node].min(index[to]);
            }
            continue;
        }
        path.pop();
        if let Some((parent, ..)) = path.last() {
            low[*parent] = low[*parent].min(low[node]);
        }
        if low[node] == index[node] {
            let mut component = Vec::new();
            while let Some(member) = stack.pop() {
                on_stack[member] = false;
                component.push(member);
                if member == node {
                    break;
                }
            }
            component.sort_unstable();
            found.push(component);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::order;

    fn place(order: &[usize], node: usize) -> usize {
        order.iter().position(|n| *n == node).unwrap()
    }

    #[test]
    fn a_join_stands_behind_both_ways_to_it() {
        // 0 goes to 3 or on to 1; both meet in 2, which the text has before 3
        let order = order(&[vec![3, 1], vec![2], vec![], vec![2]]);
        assert_eq!(order.len(), 4);
        assert_eq!(place(&order, 2), 3);
    }

    #[test]
    fn a_loop_stands_together_before_what_follows_it() {
        // 1 to 4 are a loop with a choice in it; 5 is its exit, from the head and from the middle
        let graph = [
            vec![1],
            vec![5, 2],
            vec![3, 4],
            vec![4],
            vec![1, 5],
            vec![],
            vec![],
        ];
        let order = order(&graph);
        assert_eq!(order.len(), 6, "what cannot be reached is left out");
        assert_eq!(order[5], 5);
        assert_eq!(order[1], 1);
        assert!(place(&order, 3) < place(&order, 4));
    }

    #[test]
    fn a_loop_in_a_loop_stands_together_too() {
        // 1..=4 outer, 2..=3 inner
        let graph = [vec![1], vec![2, 5], vec![3, 4], vec![2], vec![1], vec![]];
        let order = order(&graph);
        assert_eq!(place(&order, 5), 5);
        assert_eq!(place(&order, 4), 4);
        assert!(place(&order, 3).abs_diff(place(&order, 2)) == 1);
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let count = 100_000;
        let graph: Vec<_> = (0..count)
            .map(|n| if n + 1 < count { vec![n + 1] } else { vec![] })
            .collect();
        assert_eq!(order(&graph), (0..count).collect::<Vec<_>>());
    }
}
