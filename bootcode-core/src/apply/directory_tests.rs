use std::collections::HashSet;

use super::{
    tests::{NETWORK, TEMPLATE, World, files, machine, workflow},
    *,
};

fn declared(ids: &[(Kind, &str)]) -> HashSet<(Kind, String)> {
    ids.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect()
}

fn names(ids: &[Id]) -> Vec<String> {
    ids.iter().map(|id| format!("{}/{}", id.kind, id.name)).collect()
}

async fn bring(world: &World, directory: &str, texts: &[&str]) {
    world.applier.apply_directory(&files(texts), directory).await.unwrap();
}

async fn prune(
    world: &World,
    directory: &str,
    left: &[(Kind, &str)],
) -> Result<(Vec<String>, Vec<String>), ApplyError> {
    let pruned = world.applier.prune(directory, &declared(left), 5).await?;
    let kept = pruned.kept.iter().map(|kept| format!("{}/{}: {}", kept.id.kind, kept.id.name, kept.why));
    Ok((names(&pruned.deleted), kept.collect()))
}

#[tokio::test]
async fn a_directory_deletes_what_it_brought_and_nothing_else() {
    let world = World::new().await;
    bring(&world, "a", &[NETWORK, &machine("node-1", 1), &machine("node-2", 2)]).await;
    bring(&world, "b", &[TEMPLATE]).await;
    world.apply(&[&machine("node-3", 3)]).await.unwrap();
    // An operator writes over what the directory brought, and the directory declares what an operator brought.
    world.apply(&[&machine("node-2", 2).replace("/dev/vda", "/dev/vdb")]).await.unwrap();
    bring(&world, "a", &[&machine("node-3", 3)]).await;
    let (deleted, kept) = prune(&world, "a", &[(Kind::Network, "lab")]).await.unwrap();
    assert_eq!((deleted, kept), (vec!["Hardware/node-1".to_owned()], vec![]));
    let again = prune(&world, "a", &[(Kind::Network, "lab")]).await.unwrap();
    assert_eq!(again, (vec![], vec![]), "it is gone once");
}

#[tokio::test]
async fn an_empty_directory_deletes_nothing() {
    let world = World::new().await;
    bring(&world, "a", &[NETWORK, &machine("node-1", 1)]).await;
    assert_eq!(prune(&world, "a", &[]).await.unwrap(), (vec![], vec![]));
}

#[tokio::test]
async fn more_than_max_delete_are_an_accident() {
    let world = World::new().await;
    let machines: Vec<String> = (1..=6).map(|n| machine(&format!("node-{n}"), n)).collect();
    let texts: Vec<&str> = machines.iter().map(String::as_str).chain([NETWORK]).collect();
    bring(&world, "a", &texts).await;
    let before = world.content().await;
    let error = prune(&world, "a", &[(Kind::Network, "lab")]).await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("6 documents") && told.contains("maxDelete: 5"), "{told}");
    assert!(told.contains("Hardware/node-1") && told.contains("raise maxDelete"), "{told}");
    assert_eq!(world.content().await, before);
    let left = [(Kind::Network, "lab"), (Kind::Hardware, "node-1")];
    assert_eq!(prune(&world, "a", &left).await.unwrap().0.len(), 5);
}

#[tokio::test]
async fn a_machine_with_an_open_workflow_stays_until_that_has_ended() {
    let world = World::new().await;
    bring(&world, "a", &[NETWORK, TEMPLATE, &machine("node-1", 1), &workflow("w1", "node-1")]).await;
    let left = [(Kind::Template, "debian")];
    let (deleted, kept) = prune(&world, "a", &left).await.unwrap();
    assert_eq!(deleted, Vec::<String>::new());
    assert!(
        kept.iter().any(|kept| kept.starts_with("Workflow/w1: ") && kept.contains("is Held")),
        "{kept:?}"
    );
    assert!(kept.iter().any(|kept| kept.contains("is needed by Workflow `w1`")), "{kept:?}");
    assert!(kept.iter().any(|kept| kept.contains("is needed by Hardware `node-1`")), "{kept:?}");
    world.applier.engine.cancel("w1").await.unwrap();
    let (deleted, kept) = prune(&world, "a", &left).await.unwrap();
    assert_eq!(
        deleted,
        ["Workflow/w1", "Hardware/node-1", "Network/lab"],
        "those first that refer to others"
    );
    assert_eq!(kept, Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_moves_to_another_directory_takes_its_documents_with_it() {
    let world = World::new().await;
    bring(&world, "a", &[NETWORK, &machine("node-1", 1)]).await;
    bring(&world, "b", &[&machine("node-1", 1)]).await;
    assert_eq!(prune(&world, "a", &[(Kind::Network, "lab")]).await.unwrap(), (vec![], vec![]));
    let (deleted, _) = prune(&world, "b", &[(Kind::Template, "other")]).await.unwrap();
    assert_eq!(deleted, ["Hardware/node-1"]);
}

#[tokio::test]
async fn what_an_operator_deleted_and_applied_anew_is_the_operators() {
    let world = World::new().await;
    bring(&world, "a", &[NETWORK, &machine("node-1", 1)]).await;
    world.applier.delete(Kind::Hardware, "node-1").await.unwrap();
    world.apply(&[&machine("node-1", 1)]).await.unwrap();
    assert_eq!(prune(&world, "a", &[(Kind::Network, "lab")]).await.unwrap(), (vec![], vec![]));
}
